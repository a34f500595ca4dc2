"""Which step of the Judge a row of a recording falls on.

The grid begins at the first row's own time. Rows that come a little early or late fall on the step next to them; a row
decides with its own step, so what cannot have a step of its own is not judged: it repeats a time, goes back in time (a
clock that was set back), or comes faster than the step. Nothing looks at later rows.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median_low

# The step of a file is looked for in its first rows: what follows must not change how these are judged.
_INFERRED_FROM_ROWS = 100
_SHORTEST_STEP_MS = 1_000


def infer_step_ms(times: Sequence[int]) -> int | None:
    """The usual distance of the first rows, Unix ms; None = there are not two different times."""
    first = times[: _INFERRED_FROM_ROWS + 1]
    distances = [after - before for before, after in pairwise(first) if after > before]
    return max(_SHORTEST_STEP_MS, median_low(distances)) if distances else None


def steps_of(times: Sequence[int], step_ms: int) -> list[int | None]:
    """The step of every row, Unix ms, ascending; None = the row has none of its own.

    >>> steps_of([7_000, 68_000, 68_000, 126_000], 60_000)
    [7000, 67000, None, 127000]
    """
    steps: list[int | None] = []
    origin = times[0] if times else 0
    newest, last = -1, -1
    for time in times:
        place = (time - origin + step_ms // 2) // step_ms
        if place == last and 2 * (time - newest) > step_ms:
            place += 1  # nearly a step after the row before, which came late
        if time <= newest or place <= last:
            steps.append(None)
            continue
        newest, last = time, place
        steps.append(origin + place * step_ms)
    return steps

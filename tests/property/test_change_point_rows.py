"""Whatever the values are: rows do not know each other, and a bank goes on from its states wherever it was cut."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from streams.detect.change_point import ChangePoints

STEP_MS = 900_000
START_MS = 1_790_006_400_000
MONTH_MS = 30 * 86_400_000.0
ROWS = 3

streams = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 150), st.just(ROWS)), elements=st.floats(width=64, allow_nan=True)
)


# A row that was next to nothing and then a giant: neither their ratio nor its square is a number any more.
giants = np.zeros((65, ROWS))
giants[32], giants[60] = 1e-138, -1e129


def feed(bank: ChangePoints, rows: list[int], first: int, values: NDArray[np.float64]) -> list[list[int]]:
    chosen = np.array(rows, dtype=np.int64)
    answers = [
        bank.observe(chosen, START_MS + (first + number) * STEP_MS, row).shifted for number, row in enumerate(values)
    ]
    return [answer.astype(int).tolist() for answer in answers]


def bank_of(rows: int) -> ChangePoints:
    bank = ChangePoints(STEP_MS)
    for _ in range(rows):
        bank.add(MONTH_MS)
    return bank


@settings(max_examples=30, deadline=None)
@given(streams)
@example(giants)
def test_rows_do_not_know_each_other(values: NDArray[np.float64]) -> None:
    together, turned, alone = bank_of(ROWS), bank_of(ROWS), bank_of(1)
    shifted = feed(together, [0, 1, 2], 0, values)
    backwards = feed(turned, [2, 1, 0], 0, values[:, ::-1])
    first = feed(alone, [0], 0, values[:, :1])
    assert backwards == [row[::-1] for row in shifted]
    assert first == [row[:1] for row in shifted]
    assert [turned.state(row) for row in range(ROWS)] == [together.state(row) for row in range(ROWS)]
    assert alone.state(0) == together.state(0)


@settings(max_examples=30, deadline=None)
@given(streams, st.data())
def test_a_cut_anywhere_changes_nothing(values: NDArray[np.float64], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    whole, before, after = bank_of(ROWS), bank_of(ROWS), bank_of(ROWS)
    feed(whole, [0, 1, 2], 0, values)
    feed(before, [0, 1, 2], 0, values[:cut])
    for row in range(ROWS):
        after.restore(row, before.state(row))
    feed(after, [0, 1, 2], cut, values[cut:])
    assert [after.state(row) for row in range(ROWS)] == [whole.state(row) for row in range(ROWS)]

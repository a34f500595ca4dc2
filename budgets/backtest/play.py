"""A recording row by row through the Judge: what each row decides, from it and the rows before it alone.

A row is a frame. Rows that are missing are steps missing from the log, as after an outage of the log: nothing fires and
nothing resolves by them. A field that is empty is no data.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from budgets.backtest.columns import Columns
from budgets.backtest.recording import Recording
from budgets.backtest.severity import severities_of
from budgets.event import AlertEvent, format_time, parse_time
from budgets.judge import Judge
from streams.frame import IndicatorFrame, Points


@dataclass(frozen=True, slots=True)
class Decided:
    """One row. row: counted from 0, without the header. severities: 0-1, one a column; empty if not asked for."""

    row: int
    events: list[AlertEvent]
    severities: tuple[float, ...]


def play(
    recording: Recording, columns: Columns, steps: Sequence[int | None], step_ms: int, *, scored: bool
) -> Iterator[Decided]:
    """Every row with what it decided.

    Args:
        steps: of `grid.steps_of`; rows without one decide nothing.
        scored: whether severities are wanted.
    """
    judge = Judge(step_ms)
    judge.define(columns.budget, columns.budget.service, 0)
    ids = [point for each in columns.ids for point in each]
    weights: list[float | None] = [None] * len(ids)
    own_times: dict[int | None, int] = {
        step: time for step, time in zip(steps, recording.times, strict=True) if step not in {None, time}
    }
    nothing = (0.0,) * len(columns.ids) if scored else ()
    width = [len(each) for each in columns.ids]
    for row, step in enumerate(steps):
        if step is None:
            yield Decided(row, [], nothing)
            continue
        values = [column[row] for column, times in zip(recording.values, width, strict=True) for _ in range(times)]
        events = judge.observe(IndicatorFrame(step, step_ms, Points(ids, values, weights)))
        shown = [_shown(event, own_times) for event in events if not _is_said_twice(event)]
        yield Decided(row, shown, severities_of(judge, columns) if scored else ())


def _is_said_twice(event: AlertEvent) -> bool:
    """Whether both directions of a column say it: that it has no data."""
    return event.kind == "no_data" and event.direction == "below" and event.labels.get("direction") == "below"


def _shown(event: AlertEvent, own_times: Mapping[int | None, int]) -> AlertEvent:
    """The event with the times of rows, where these are not quite those of their steps."""

    def own(text: str) -> str:
        time = own_times.get(parse_time(text))
        return text if time is None else format_time(time)

    ends_at = own(event.ends_at) if event.ends_at else None
    return msgspec.structs.replace(event, at=own(event.at), starts_at=own(event.starts_at), ends_at=ends_at)

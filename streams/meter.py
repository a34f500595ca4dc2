"""Facade 1, the Meter: blocks of samples in, indicator frames out.

One Meter a partition. It knows no Kafka, no loop and no clock: log time is an argument. The same records give the same
frames byte by byte, whether all of them were read or only those from the rewind position on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from streams.frame import IndicatorFrame, Points
from streams.promql.expression import LOOKBACK_MS, Expression, reach_of
from streams.promql.indicator import Indicator, Point
from streams.promql.lanes import Lanes
from streams.promql.parse import parse_expression
from streams.promql.plan import Plan
from streams.query import Query
from streams.series.intake import Came, Intake, Tally
from streams.series.lateness import Lateness
from streams.series.store import Ceilings, SeriesStore

# A sample may be stamped this far ahead of the log: the clock of its host, not ours. More is refused.
MAX_AHEAD_MS = 60_000
# And this far behind the newest of its series, which is more than three times the longest that a write was seen to
# wait for another broker (8 s); senders with several connections overtake themselves by that much.
OUT_OF_ORDER_MS = 30_000
DEFAULT_CEILINGS = Ceilings()


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of a record's samples.

    samples: how many are in the windows now. dropped: how many are not, by reason: `duplicate` (the time is there
    already), `out_of_order` (too far behind the newest of its series), `too_old` (no window needs it any more), `ahead`
    (stamped too far in the future), `series_limit`, `service_series_limit` and `bytes_limit` (a new series beyond a
    ceiling), `exemplar` (not kept).
    late: of those in the windows, `after_step` (a step that they belong to was closed before: they count in later ones
    only) and `out_of_order` (behind the newest of their series). lateness: log time less their own.
    """

    samples: int
    dropped: dict[str, int]
    late: dict[str, int] = field(default_factory=dict)
    lateness: Lateness = field(default_factory=Lateness)


@dataclass(frozen=True, slots=True)
class _Version:
    """A service's queries from one step on."""

    effective_at_ms: int
    queries: tuple[tuple[Query, Expression, Expression | None], ...]

    def expressions(self) -> list[Expression]:
        return [node for _, value, weight in self.queries for node in (value, weight) if node is not None]


class Meter:
    """Measures the indicators of all services of a partition.

    Args:
        step_ms: steps are multiples of it. evaluation_delay_ms: how long after a step its samples may still arrive.
        ceilings: new series beyond them are not taken; the known ones go on. out_of_order_ms: how far behind the newest
            of its series a sample may be; 0 = not at all.
    """

    def __init__(
        self,
        step_ms: int,
        evaluation_delay_ms: int,
        ceilings: Ceilings = DEFAULT_CEILINGS,
        out_of_order_ms: int = OUT_OF_ORDER_MS,
    ) -> None:
        self._step_ms = step_ms
        self._delay_ms = evaluation_delay_ms
        self._store = SeriesStore(ceilings, evaluation_delay_ms + step_ms, LOOKBACK_MS)
        self._intake = Intake(self._store, out_of_order_ms)
        self._lanes = Lanes(self._store.columns, self._store.selection)
        self._plan = Plan(self._lanes)
        self._versions: dict[str, list[_Version]] = {}
        self._next_ms: int | None = None
        self._indicators: list[Indicator] = []
        self._valid_until_ms: float | None = None  # of `_indicators`; None = to be chosen anew
        self._forget = False  # whether there may be parts of the plan that no version needs any more

    @property
    def longest_window_ms(self) -> int:
        """How far back the windows of its queries look, of those in force and those to come."""
        return _longest_window(self._expressions())

    @property
    def series_count(self) -> int:
        """How many series have a window."""
        return len(self._store)

    @property
    def byte_count(self) -> int:
        """What series and their windows take, about."""
        return self._store.byte_count

    @property
    def failures(self) -> dict[str, str]:
        """Queries that could not be evaluated at the latest step although there was data, with the reason."""
        return {
            indicator.query.id: indicator.failure for indicator in self._indicators if indicator.failure is not None
        }

    def define(self, service: str, queries: Sequence[Query], effective_at_ms: int) -> None:
        """Measure a service by these queries from a step on; an empty sequence = do not measure it from there.

        Of several versions the latest that is in force at a step holds; of two for one step, the one given later.

        Raises:
            PromqlError: an expression is not of the supported subset; nothing has changed.
        """
        parsed = tuple(
            (query, parse_expression(query.expr), parse_expression(query.weight_expr) if query.weight_expr else None)
            for query in queries
        )
        versions = [v for v in self._versions.get(service, ()) if v.effective_at_ms != effective_at_ms]
        versions.append(_Version(effective_at_ms, parsed))
        self._forget |= len(versions) <= len(self._versions.get(service, ()))
        self._versions[service] = sorted(versions, key=lambda version: version.effective_at_ms)
        for node in versions[-1].expressions():
            self._plan.part(node)  # its selectors take their series from here on
        self._store.keep_ms = max(self._store.keep_ms, _longest_window(versions[-1].expressions()))
        self._valid_until_ms = None

    def resume_after(self, step_ms: int) -> None:
        """Go on with the step after this one, which was published before."""
        self._next_ms = step_ms + self._step_ms

    def observe(self, service: str, write_request: bytes, log_time_ms: int) -> Observed:
        """Take a record's samples into the windows.

        Args:
            service: whose record it is: new series are charged to it. Otherwise it does not matter, series are kept
                once, whichever service brought them.

        Raises:
            WireError: not a WriteRequest with valid series; nothing of it is kept.
        """
        return _observed(self._intake.take(service, write_request, self._came(log_time_ms)))

    def observe_joined(self, write_requests: bytes, log_time_ms: int) -> Observed | None:
        """Take records that came one after the other, joined, at a fraction of what they cost one by one.

        The windows are the same afterwards. Counts by lateness are of the log time given.

        Args:
            log_time_ms: of the first of them; no step may have been closed since.

        Returns:
            None = they are to be observed one by one (a series is new, a sample ahead or odd); nothing was taken.

        Raises:
            WireError: one of them is not a WriteRequest; nothing was taken.
        """
        tally = self._intake.take_known(write_requests, self._came(log_time_ms))
        return None if tally is None else _observed(tally)

    def is_step_due(self, log_time_ms: int) -> bool:
        """Whether `advance` has something to do."""
        return self._next_ms is None or self._next_ms <= log_time_ms - self._delay_ms

    def advance(self, log_time_ms: int) -> list[IndicatorFrame]:
        """The frames of the steps that the log has passed, oldest first."""
        next_ms = self._begin(log_time_ms)
        last_ms = log_time_ms - self._delay_ms
        frames: list[IndicatorFrame] = []
        with np.errstate(all="ignore"):
            while next_ms <= last_ms:
                if self._valid_until_ms is None or next_ms >= self._valid_until_ms:
                    self._choose(next_ms)
                if self._indicators:
                    frames.append(self._measure(next_ms))
                    next_ms += self._step_ms
                else:
                    next_ms = self._skip(next_ms, last_ms)
                self._store.columns.sweep()
                if by_ms := self._store.rebase_before(next_ms):
                    self._lanes.rebase(by_ms)
        if next_ms != self._next_ms:
            self._next_ms = next_ms
            self._store.tidy(next_ms)
        return frames

    def _came(self, log_time_ms: int) -> Came:
        closed_ms = (log_time_ms - self._delay_ms) // self._step_ms * self._step_ms
        return Came(log_time_ms, self._begin(log_time_ms), closed_ms, log_time_ms + MAX_AHEAD_MS)

    def _begin(self, log_time_ms: int) -> int:
        """The next step; the first one after the first record, on a fresh partition."""
        if self._next_ms is None:
            self._next_ms = (log_time_ms // self._step_ms + 1) * self._step_ms
        if not len(self._store):
            self._store.columns.epoch_ms = self._next_ms
        return self._next_ms

    def _choose(self, step_ms: int) -> None:
        """Find the queries in force at a step and until when they are."""
        until = float("inf")
        chosen: list[Indicator] = []
        for service, versions in sorted(self._versions.items()):
            past = [version for version in versions if version.effective_at_ms <= step_ms]
            coming = versions[len(past) :]
            # What was in force before the latest one never will be again.
            self._versions[service] = past[-1:] + coming
            self._forget |= len(past) > 1
            until = min([until, *(version.effective_at_ms for version in coming[:1])])
            for query, value, weight in past[-1].queries if past else ():
                chosen.append(Indicator(query, self._plan.part(value), self._plan.part(weight) if weight else None))
        self._indicators, self._valid_until_ms = chosen, until
        if self._forget:
            self._plan.retain(self._expressions())
            self._store.keep_ms = max(self.longest_window_ms, LOOKBACK_MS)
            self._forget = False

    def _expressions(self) -> Iterator[Expression]:
        """All that is measured now or from some step on."""
        for version in chain.from_iterable(self._versions.values()):
            yield from version.expressions()

    def _skip(self, step_ms: int, last_ms: int) -> int:
        """The next step at which there may be queries in force, or the first that is not passed."""
        until = min(self._valid_until_ms or last_ms, last_ms + 1)
        return step_ms + max(1, -int(-(until - step_ms) // self._step_ms)) * self._step_ms

    def _measure(self, step_ms: int) -> IndicatorFrame:
        points: list[Point] = [point for indicator in self._indicators for point in indicator.points_at(step_ms)]
        ids, values, weights = zip(*points, strict=True)
        return IndicatorFrame(step_ms, self._step_ms, Points(list(ids), list(values), list(weights)))


def _observed(tally: Tally) -> Observed:
    dropped = {reason: count for reason, count in tally.dropped.items() if count}
    return Observed(tally.taken, dropped, dict(tally.late), tally.lateness)


def _longest_window(expressions: Iterable[Expression]) -> int:
    return max(map(reach_of, expressions), default=0)

"""One partition of the log on its way through the core: records in, closed steps out.

No I/O and no clock here: what a step says depends on the records before it and on the orders alone. Reading,
publishing and recovery are its neighbours' business.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from budgets.change import Change
from budgets.event import AlertEvent
from budgets.judge import Judge
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import queries_of
from streams.frame import IndicatorFrame
from streams.meter import Meter, Observed


@dataclass(frozen=True, slots=True)
class ClosedStep:
    """What one step of one partition came to. Its events are published before its frame."""

    frame: IndicatorFrame
    events: list[AlertEvent]


@dataclass(frozen=True, slots=True)
class BudgetVersion:
    """A service's budget from one step on; None = the service is not watched from there."""

    service: str
    budget: ServiceBudget | None
    effective_at_ms: int


class Partition:
    """Meter and Judge of one partition, and how far they have come.

    number: the partition. cursor: the offset to read next; records below it have been seen.
    log_time_ms: the time of the newest record.
    """

    def __init__(
        self, number: int, cursor: int, create_meter: Callable[[], Meter], create_judge: Callable[[], Judge]
    ) -> None:
        self.number = number
        self.cursor = cursor
        self.log_time_ms = 0
        self._meter = create_meter()
        self._judge = create_judge()

    @property
    def longest_window_ms(self) -> int:
        """How far back the windows of its indicators look."""
        return self._meter.longest_window_ms

    @property
    def series(self) -> int:
        """How many series have a window."""
        return self._meter.series_count

    @property
    def window_bytes(self) -> int:
        """What series and their windows take, about."""
        return self._meter.byte_count

    @property
    def failures(self) -> dict[str, str]:
        """Indicators that have data but no value at the latest step, with the reason."""
        return self._meter.failures

    def define(self, version: BudgetVersion) -> None:
        """Take a budget of a service that lives on this partition."""
        queries = queries_of(version.budget) if version.budget else []
        self._meter.define(version.service, queries, version.effective_at_ms)
        self._judge.define(version.budget, version.service, version.effective_at_ms)

    def note(self, change: Change) -> None:
        """Take a change of a service that lives on this partition; one that was taken before changes nothing."""
        self._judge.note(change)

    def restore(self, snapshot: bytes) -> None:
        """Take over the Judge's state; what it decided before was published before.

        Raises:
            SnapshotError: this version cannot read it; nothing changed.
        """
        self._judge.restore(snapshot)

    def catch_up(self, frames: Iterable[IndicatorFrame], last_step_ms: int | None) -> int | None:
        """Bring the Judge to the last published step; what it decides on the way was published before.

        Args:
            frames: the published frames after the snapshot, oldest first; repeats are harmless.
            last_step_ms: the snapshot's step, None = there was none.

        Returns:
            The last published step, None = nothing has ever been published.
        """
        for frame in frames:
            if last_step_ms is None or frame.at > last_step_ms:
                self._judge.observe(frame)
                last_step_ms = frame.at
        if last_step_ms is not None:
            self._meter.resume_after(last_step_ms)
        return last_step_ms

    def close_steps(self, log_time_ms: int) -> list[ClosedStep]:
        """The steps that the log has passed at `log_time_ms`, oldest first."""
        self.log_time_ms = max(self.log_time_ms, log_time_ms)
        return [ClosedStep(frame, self._judge.observe(frame)) for frame in self._meter.advance(log_time_ms)]

    def is_step_due(self, log_time_ms: int) -> bool:
        """Whether `close_steps` may have something to do."""
        return self._meter.is_step_due(log_time_ms)

    def observe(self, service: str, write_request: bytes, log_time_ms: int | None = None) -> Observed:
        """Take a record's samples into the windows.

        Args:
            log_time_ms: when it came; None = just now.

        Raises:
            WireError: not a WriteRequest; nothing of it is kept.
        """
        return self._meter.observe(service, write_request, self.log_time_ms if log_time_ms is None else log_time_ms)

    def observe_joined(self, write_requests: bytes, log_time_ms: int) -> Observed | None:
        """As `Meter.observe_joined`."""
        return self._meter.observe_joined(write_requests, log_time_ms)

    def snapshot(self) -> bytes:
        """The Judge's state after the last closed step."""
        return self._judge.snapshot()

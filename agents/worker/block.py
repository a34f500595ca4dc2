"""Records that were read and wait to be taken into the windows together.

Nobody looks into a window before a step closes, and a record costs much beside its samples: 0.2 ms, which a record of
200 samples pays again as much for as for them. So the records of a quarter of a second are joined (WriteRequests, one
after the other, are a WriteRequest), and taken when a record comes that is later, or closes a step. Where that would
not come to the same they are taken one by one. While a worker is behind, records are joined by their size alone; of
what was joined over longer than a quarter of a second it is not known how late samples were, and nothing is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from streams.meter import Observed
from streams.series.lateness import Lateness
from streams.wire.errors import WireError

# Also the error of what is counted by lateness.
MOST_MS = 250
# Some 2,000 samples: more together are not cheaper.
MOST_BYTES = 512 * 1024


class Record(Protocol):
    """What is needed of a record."""

    @property
    def key(self) -> bytes | None: ...  # noqa: D102  the class docstring says it

    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Windows(Protocol):
    """Where records are taken: a partition, or its Meter alone."""

    def observe(self, service: str, write_request: bytes, log_time_ms: int) -> Observed:
        """As `Meter.observe`."""

    def observe_joined(self, write_requests: bytes, log_time_ms: int) -> Observed | None:
        """As `Meter.observe_joined`."""


_Record = TypeVar("_Record", bound=Record)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[_Record]):
    record: _Record
    log_time_ms: int

    def take(self, windows: Windows) -> Observed | WireError | UnicodeDecodeError:
        try:
            service = (self.record.key or b"").decode()
            return windows.observe(service, self.record.value or b"", self.log_time_ms)
        except (WireError, UnicodeDecodeError) as error:
            return error


class Block(Generic[_Record]):
    """The waiting records of one partition, in their order."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting[_Record]] = []
        self._bytes = 0

    def put(self, record: _Record, log_time_ms: int) -> None:
        """Let a record wait. Log time does not go back."""
        self._waiting.append(_Waiting(record, log_time_ms))
        self._bytes += len(record.value or b"")

    def is_due(self, log_time_ms: int, *, is_behind: bool) -> bool:
        """Whether what waits should be taken before a record of this time joins.

        Args:
            is_behind: more records than these are there already.
        """
        if not self._waiting:
            return False
        waits_long = log_time_ms - self._waiting[0].log_time_ms >= MOST_MS
        return self._bytes >= MOST_BYTES or (waits_long and not is_behind)

    def take_into(self, windows: Windows) -> Iterator[tuple[_Record, Observed | WireError | UnicodeDecodeError]]:
        """Take what waits; gives what came of each record, or of all of them beside the last one."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        joined = self._take_joined(waiting, windows) if len(waiting) > 1 else None
        if joined is not None:
            yield waiting[-1].record, joined
            return
        for each in waiting:
            yield each.record, each.take(windows)

    def _take_joined(self, waiting: list[_Waiting[_Record]], windows: Windows) -> Observed | None:
        begin_ms, end_ms = waiting[0].log_time_ms, waiting[-1].log_time_ms
        try:
            for each in waiting:
                (each.record.key or b"").decode()
            observed = windows.observe_joined(b"".join([each.record.value or b"" for each in waiting]), begin_ms)
        except (WireError, UnicodeDecodeError):
            return None  # one of them; the others are good
        if observed is None or end_ms - begin_ms <= MOST_MS:
            return observed
        return replace(observed, lateness=Lateness())

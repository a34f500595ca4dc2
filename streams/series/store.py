"""All series of a partition: which there are, which selector takes them, and their samples; how many there may be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.series.columns import Columns
from streams.series.index import SeriesIndex
from streams.series.labels import Labels
from streams.series.selection import Selection
from streams.series.shares import Shares

# Rows are renumbered when this share of them is idle, since it costs a look at all.
_MOST_IDLE = 0.25
_FEW = 64
# Times are 32 bits of milliseconds around the epoch; half of that is ahead of it.
_REBASE_MS = 1 << 30
# Why a new series is not taken.
REFUSALS: Final = ("series_limit", "service_series_limit", "bytes_limit")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How much may be kept. New series are refused beyond; the known ones go on, whatever they take.

    series: in all. service_series: of one service, so that one cannot take the room of the others.
    window_bytes: what windows and labels may take when a series comes.
    series_elsewhere, bytes_elsewhere: what others have taken of the same ceilings (other partitions of a process).
    """

    series: int = 1_000_000
    service_series: int = 1_000_000
    window_bytes: int = 1 << 40
    series_elsewhere: Callable[[], int] = lambda: 0
    bytes_elsewhere: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class Room:
    """How many more series may come, and which ceiling (one of REFUSALS) the next one would break."""

    series: int
    refusal: str


class SeriesStore:
    """Index, selection and columns, which agree in their rows.

    lag_ms: how far beyond a step its samples may lie.
    keep_ms: how far before the next step windows reach; what is older is not needed.
    """

    def __init__(self, ceilings: Ceilings, lag_ms: int, keep_ms: int) -> None:
        self.index = SeriesIndex()
        self.columns = Columns()
        self.selection = Selection(self.index)
        self.keep_ms = keep_ms
        self._lag_ms = lag_ms
        self._ceilings = ceilings
        self._shares = Shares()
        self._searched_to: int | None = None  # the horizon up to which idle series were let go

    def __len__(self) -> int:
        return len(self.index)

    @property
    def ring_ms(self) -> int:
        """How much time a ring must hold."""
        return self.keep_ms + self._lag_ms

    @property
    def byte_count(self) -> int:
        """What series and their samples take, about."""
        return self.columns.byte_count + self.index.byte_count

    def room_of(self, service: str) -> Room:
        """How many more series may come from a service."""
        ceilings = self._ceilings
        rooms = (
            Room(ceilings.series - ceilings.series_elsewhere() - len(self.index), "series_limit"),
            Room(ceilings.service_series - self._shares.count(service), "service_series_limit"),
        )
        if self.byte_count + ceilings.bytes_elsewhere() >= ceilings.window_bytes:
            return Room(0, "bytes_limit")
        return min(rooms, key=lambda room: room.series)

    def add(self, blob: bytes, labels: Labels, service: str = "") -> int:
        """The row of a series that is new, charged to a service."""
        row = self.index.add(blob, labels)
        self._shares.add(row, service)
        self.columns.add_row()
        self.selection.take(row, dict(labels))
        return row

    def tidy(self, step_ms: int) -> None:
        """Let idle series go if they are many; `step_ms` is the next step."""
        idle = self._count_idle(step_ms)
        if idle > _FEW and idle > _MOST_IDLE * len(self):
            self._let_go(step_ms)

    def make_room(self, step_ms: int) -> bool:
        """Let all idle series go; whether rows were renumbered."""
        horizon = step_ms - self.keep_ms
        if horizon == self._searched_to:
            return False
        self._searched_to = horizon
        if not self._count_idle(step_ms):
            return False
        self._let_go(step_ms)
        return True

    def rebase_before(self, step_ms: int) -> int:
        """Bring the epoch near a step if it is far; by how much it moved."""
        by_ms = step_ms - self.columns.epoch_ms
        if by_ms < _REBASE_MS:
            return 0
        self.columns.rebase(by_ms)
        return by_ms

    def _count_idle(self, step_ms: int) -> int:
        horizon = step_ms - self.keep_ms - self.columns.epoch_ms
        return int(np.count_nonzero(self.columns.newest[: len(self)] <= horizon))

    def _let_go(self, step_ms: int) -> None:
        horizon = step_ms - self.keep_ms - self.columns.epoch_ms
        keep = self.columns.newest[: len(self)] > horizon
        renumbered = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
        self.index.compact(keep, renumbered)
        self.columns.compact(keep)
        self.selection.compact(renumbered)
        self._shares.compact(keep)

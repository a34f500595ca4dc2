"""Requests of series that are all known, recognised without looking at each: what `streams.wire.repeats` says of their
bytes, in the terms of routes.

It speaks for series only as long as `KnownSeries` does: when some are forgotten there, everything is forgotten here,
and the next requests are read series by series, which also says which of them are still written.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agents.ingest.known_series import KnownSeries
from agents.ingest.pairs import ReplicaRoute
from agents.ingest.records import MAX_RECORD_BYTES
from agents.ingest.routes import Route
from streams.wire.layouts import Layouts
from streams.wire.limits import WireLimits
from streams.wire.repeats import Repeated, recognise
from streams.wire.repeats_2 import recognise_2, remember_2
from streams.wire.request_2 import ReadRequest2
from streams.wire.symbols import References, SeriesMemory

Services = tuple[bytes, ...]
# Numbers of two bytes; more combinations of services than these are not told apart but forgotten.
_MOST_NUMBERS = 1 << 16


class KnownRequests:
    """What requests looked like, and where their series went.

    memory: whose numbers tell symbols of 2.0. most_bytes: what requests may take.
    """

    def __init__(self, known: KnownSeries, memory: SeriesMemory, most_bytes: int) -> None:
        self._known = known
        self._memory = memory
        self._layouts = Layouts(most_bytes)
        self._numbers: dict[Services, int] = {}
        self._generation = known.generation, memory.epoch
        # By the series' numbers.
        self.services: list[Services] = []

    @property
    def byte_count(self) -> int:
        """What they take, about."""
        return self._layouts.byte_count

    def recognise(self, data: bytearray, limits: WireLimits) -> Repeated | None:
        """A 1.0 request in which all series are known and go to one record a service; None = it must be read."""
        self._forget_if_old()
        if len(data) > MAX_RECORD_BYTES:
            return None
        repeated = recognise(data, self._layouts, self._find)
        return repeated if repeated is not None and len(repeated.numbers) <= limits.max_series else None

    def recognise_2(self, read: ReadRequest2, limits: WireLimits) -> Repeated | None:
        """A 2.0 request of that kind."""
        self._forget_if_old()
        if read.references is None:
            return None
        most_bytes = min(MAX_RECORD_BYTES, limits.max_decoded_bytes)
        return recognise_2(read.plain, read.references, self._layouts, self._memory, self._find, most_bytes)

    def remember(
        self, data: bytearray, frames: Sequence[bytes], sections: Sequence[bytes], routes: Sequence[Route]
    ) -> None:
        """Keep a 1.0 request that has nothing but plain samples of known series."""
        numbers = self._numbers_of(routes)
        if numbers is not None and len(data) <= MAX_RECORD_BYTES:
            self._layouts.remember(data, frames, sections, numbers)

    def remember_2(self, references: References, sections: Sequence[bytes], routes: Sequence[Route]) -> None:
        """Keep a 2.0 request of that kind."""
        numbers = self._numbers_of(routes)
        if numbers is not None and sum(map(len, sections)) <= MAX_RECORD_BYTES:
            remember_2(sections, references, numbers, self._layouts)

    def _numbers_of(self, routes: Sequence[Route]) -> npt.NDArray[np.uint16] | None:
        # If some were forgotten meanwhile, the series at hand are perhaps not held as those in use.
        if self._forget_if_old():
            return None
        numbers = {route: self._number(route) for route in set(routes)}
        if min(numbers.values()) < 0:
            return None
        return np.fromiter(map(numbers.__getitem__, routes), np.uint16, len(routes))

    def _forget_if_old(self) -> bool:
        generation = self._known.generation, self._memory.epoch
        is_old = self._generation != generation or len(self.services) >= _MOST_NUMBERS
        if is_old:
            self._layouts.clear()
            self._numbers.clear()
            self.services.clear()
            self._generation = generation
        return is_old

    def _find(self, section: bytes) -> int:
        route = self._known.find_one(section)
        return self._number(route) if route is not None else -1

    def _number(self, route: Route) -> int:
        """The number of a route's services, -1 where more must be done than pass samples on."""
        if isinstance(route, ReplicaRoute):
            return -1
        number = self._numbers.get(route.services)
        if number is None:
            if len(self.services) >= _MOST_NUMBERS:
                return -1
            number = self._numbers[route.services] = len(self.services)
            self.services.append(route.services)
        return number

"""Requests of series that are all known, recognised without looking at each: what `streams.wire.repeats` says of their
bytes, in the terms of routes.

It speaks for series only as long as `KnownSeries` does: when some are forgotten there, everything is forgotten here,
and the next requests are read series by series, which also says which of them are still written.
"""

from collections.abc import Sequence

import numpy as np

from agents.ingest.known_series import KnownSeries
from agents.ingest.pairs import ReplicaRoute
from agents.ingest.records import MAX_RECORD_BYTES
from agents.ingest.routes import Route
from streams.wire.repeats import Repeated, RequestMemory

Services = tuple[bytes, ...]
# Numbers of two bytes; more combinations of services than these are not told apart but forgotten.
_MOST_NUMBERS = 1 << 16


class KnownRequests:
    """What requests looked like, and where their series went.

    most_bytes: what that may take.
    """

    def __init__(self, known: KnownSeries, most_bytes: int) -> None:
        self._known = known
        self._memory = RequestMemory(most_bytes)
        self._numbers: dict[Services, int] = {}
        self._generation = known.generation
        # By the series' numbers.
        self.services: list[Services] = []

    @property
    def byte_count(self) -> int:
        """What they take, about."""
        return self._memory.byte_count

    def recognise(self, data: bytearray, most_series: int) -> Repeated | None:
        """A request in which all series are known and go to one record a service; None = it must be read."""
        self._forget_if_old()
        if len(data) > MAX_RECORD_BYTES:
            return None
        repeated = self._memory.recognise(data, self._find)
        return repeated if repeated is not None and len(repeated.numbers) <= most_series else None

    def remember(
        self, data: bytearray, frames: Sequence[bytes], sections: Sequence[bytes], routes: Sequence[Route]
    ) -> None:
        """Keep a request that has nothing but plain samples of known series."""
        # If some were forgotten meanwhile, the series at hand are perhaps not held as those in use.
        if self._forget_if_old() or len(data) > MAX_RECORD_BYTES:
            return
        numbers = {route: self._number(route) for route in set(routes)}
        if min(numbers.values()) >= 0:
            found = np.fromiter(map(numbers.__getitem__, routes), np.uint16, len(routes))
            self._memory.remember(data, frames, sections, found)

    def _forget_if_old(self) -> bool:
        is_old = self._generation != self._known.generation or len(self.services) >= _MOST_NUMBERS
        if is_old:
            self._memory.clear()
            self._numbers.clear()
            self.services.clear()
            self._generation = self._known.generation
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

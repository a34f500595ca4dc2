"""From a request's body to what each service gets, without an object per sample.

A frame whose labels are known and that ends in one plain sample is only looked up; any other is read field by field.
No I/O here. A 1.0 request is taken as a whole or not at all, but for new series beyond the limit; of a 2.0 request
the series at fault are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from agents.ingest.elections import Elections, Replica, Standing
from agents.ingest.known_requests import KnownRequests
from agents.ingest.known_series import KnownSeries
from agents.ingest.opening import Message, Opened, open_1, open_2
from agents.ingest.pairs import HaLabels, ReplicaRoute
from agents.ingest.records import cut_by_number, join_to_records
from agents.ingest.routes import Route, Routes
from streams.wire.errors import WireError
from streams.wire.frame import Frame, with_labels, without_exemplars
from streams.wire.limits import WireLimits
from streams.wire.repeats import Repeated
from streams.wire.request import decompress
from streams.wire.request_2 import Translator
from streams.wire.samples import FrameReader
from streams.wire.symbols import SeriesMemory

_Put = Callable[[bytes], None]


@dataclass(slots=True)
class Written:
    """What a sender is told to have been taken, needed by a budget or not."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    def add(self, other: "Written") -> None:
        """Count what another one has, too."""
        self.samples += other.samples
        self.histograms += other.histograms
        self.exemplars += other.exemplars


@dataclass(slots=True)
class Sorted:
    """What a request comes to.

    parts: (service, WriteRequest), to be written in this order; none above MAX_RECORD_BYTES.
    samples: float samples and histograms that a budget needs, each counted once. unneeded: the others.
    standby: of replicas of HA pairs that are not elected, and not passed on. elected: replicas that are passed on.
    unsettled: replicas to be settled before; nothing else is said then.
    refused_series, refused_samples: beyond the series limit. metadata, exemplars: that are not kept.
    newest_ms: the newest sample's time, None = there is none. series: how many there were.
    written: of all series that are not at fault and not refused. faults: of series that were left out, in their order.
    """

    parts: list[tuple[bytes, bytes]] = field(default_factory=list)
    samples: int = 0
    unneeded: int = 0
    standby: int = 0
    elected: set[Replica] = field(default_factory=set)
    unsettled: set[Replica] = field(default_factory=set)
    refused_series: int = 0
    refused_samples: int = 0
    metadata: int = 0
    newest_ms: int | None = None
    series: int = 0
    written: Written = field(default_factory=Written)
    faults: list[WireError] = field(default_factory=list)


class Sorter:
    """Sorts requests by the services that need them."""

    def __init__(
        self,
        routes: Routes,
        known: KnownSeries,
        known_requests: KnownRequests,
        memory: SeriesMemory,
        limits: WireLimits,
        max_series: int,
        ha_labels: HaLabels,
        elections: Elections,
    ) -> None:
        self._routes = routes
        self._known = known
        self._known_requests = known_requests
        self._translator = Translator(memory, limits)
        self._limits = limits
        self._max_series = max_series
        self._ha_labels = ha_labels
        self._elections = elections
        self._has_pairs = False

    def sort(self, body: bytes, message: Message = Message.VERSION_1, *, settled: bool = False) -> Sorted:
        """What each service gets of a compressed request.

        Args:
            settled: the replicas that were unsettled before have been settled: whoever is elected now is taken.

        Raises:
            MalformedError, TooLargeError: nothing of the request is kept.
        """
        if changed := self._routes.take_changes():
            self._known.forget(changed)
        data = decompress(body, self._limits)
        if message is Message.VERSION_2:
            read = self._translator.read(data)
            repeated = self._known_requests.recognise_2(read, self._limits)
            if repeated is not None:
                return self._take_repeated(repeated, int(np.count_nonzero(read.plain.has_metadata)))
            return self._sort_opened(data, open_2(len(data), read, self._translator), settled=settled)
        repeated = self._known_requests.recognise(data, self._limits)
        if repeated is not None:
            return self._take_repeated(repeated, 0)
        return self._sort_opened(data, open_1(data, self._limits), settled=settled)

    def _sort_opened(self, data: bytearray, request: Opened, *, settled: bool) -> Sorted:
        """Look at each series."""
        found = self._known.find(request.tails.blobs)
        result = Sorted(metadata=request.metadata, series=len(found))
        if found and all(found):
            result.newest_ms = int(request.tails.timestamps_ms.max())
            self._remember(data, request, found)
            self._take(request, found, {}, result, settled=settled)
        elif found:
            odd = self._read_odd(request, found)
            result.newest_ms = _newest(request, odd)
            self._take_odd(odd, found, result)
            if all(_is_plain(frame, request.tails.blobs[index]) for index, frame in odd.items()):
                self._remember(data, request, found)
            self._take(request, found, odd, result, settled=settled)
        result.faults = [fault for _, fault in sorted(request.faults.items())]
        return result

    def _remember(self, data: bytearray, request: Opened, found: list[Route | None]) -> None:
        """Keep a request of series with one plain sample each, if all are taken and nothing stands beside them."""
        if not all(found):
            return
        routes = cast("list[Route]", found)
        if request.whole is not None:
            self._known_requests.remember(data, request.frames, request.tails.blobs, routes)
        elif request.references is not None:
            self._known_requests.remember_2(request.references, request.tails.blobs, routes)

    def _take_repeated(self, request: Repeated, metadata: int) -> Sorted:
        """Cut a request of known series along its services."""
        series = len(request.numbers)
        passed_over = 0
        result = Sorted(newest_ms=request.newest_ms, series=series, metadata=metadata, written=Written(samples=series))
        for number, content, count in cut_by_number(request.content, request.starts, request.numbers):
            services = self._known_requests.services[number]
            result.parts += [(service, content) for service in services]
            passed_over += 0 if services else count
        result.samples, result.unneeded = series - passed_over, passed_over
        return result

    def _read_odd(self, request: Opened, found: list[Route | None]) -> dict[int, Frame]:
        """The frames whose series are not known or that hold more than one plain sample."""
        reader = FrameReader(request.tails, self._limits)
        odd: dict[int, Frame] = {}
        for index, route in enumerate(found):
            if route is not None or index in request.faults:
                continue
            try:
                frame = odd[index] = reader.read(request.frames, index)
            except WireError as error:
                if not request.keeps_rest:
                    raise
                request.faults[index] = error
                continue
            if frame.exemplars:
                request.exemplars[index] = frame.exemplars
                request.frames[index] = without_exemplars(request.frames[index])
                request.whole = None
        return odd

    def _take_odd(self, odd: dict[int, Frame], found: list[Route | None], result: Sorted) -> None:
        """Route the frames that were read one by one, and remember their series if there is room."""
        refused = set()
        for index, frame in odd.items():
            route = self._known.find_one(frame.blob)
            if route is None:
                route = self._route_of(frame)
                if route.services and self._known.needed >= self._max_series:
                    refused.add(frame.blob)
                    result.refused_samples += _count(frame)
                    continue
                self._known.add(frame.blob, route)
            found[index] = route
        result.refused_series = len(refused)

    def _route_of(self, frame: Frame) -> Route:
        replica, blob, labels = self._ha_labels.split(frame.blob, frame.labels)
        route = self._routes.route_of(labels)
        if replica is None or not route.services:
            return route
        self._has_pairs = True
        return ReplicaRoute(route, replica, blob)

    def _take(
        self, request: Opened, found: list[Route | None], odd: dict[int, Frame], result: Sorted, *, settled: bool
    ) -> None:
        if self._has_pairs:
            self._elect(request, found, odd, result, settled=settled)
        if not result.unsettled:
            self._group(request, found, odd, result)

    def _elect(
        self, request: Opened, found: list[Route | None], odd: dict[int, Frame], result: Sorted, *, settled: bool
    ) -> None:
        """Take the series of elected replicas without their replica's label, and pass over the others."""
        standings: dict[Replica, Standing] = {}
        for index, route in enumerate(found):
            if not isinstance(route, ReplicaRoute):
                continue
            standing = standings.get(route.replica)
            if standing is None:
                standing = standings[route.replica] = self._standing_of(route.replica, settled=settled)
            if standing is Standing.ELECTED:
                found[index] = route.route
                frame = request.frames[index]
                blob = request.tails.blobs[index]
                is_plain = index not in odd
                request.frames[index] = route.blob + frame[len(blob) :] if is_plain else with_labels(frame, route.blob)
            elif standing is Standing.STANDBY:
                found[index] = _STANDBY
                result.standby += _count(odd[index]) if index in odd else 1
        request.whole = None if standings else request.whole
        result.elected = {replica for replica, standing in standings.items() if standing is Standing.ELECTED}
        result.unsettled = {replica for replica, standing in standings.items() if standing is Standing.UNSETTLED}

    def _standing_of(self, replica: Replica, *, settled: bool) -> Standing:
        if settled:
            return Standing.ELECTED if self._elections.is_elected(replica) else Standing.STANDBY
        return self._elections.standing(replica)

    def _group(self, request: Opened, found: list[Route | None], odd: dict[int, Frame], result: Sorted) -> None:
        """Fill in the parts and the counts. A frame without a route is refused or at fault."""
        frames = request.frames
        groups: dict[tuple[bytes, ...], list[bytes]] = {}
        left_out: list[bytes] = []
        put: dict[Route | None, _Put] = {None: left_out.append}
        routes = set(found)
        for route in routes - {None}:
            assert route is not None
            put[route] = groups.setdefault(route.services, []).append
        if len(groups) == 1 and None not in routes:
            (services,) = groups
            groups[services] = frames
        else:
            for route, frame in zip(found, frames, strict=True):
                put[route](frame)
            request.whole = None
        for services, group in groups.items():
            if services:
                for record in join_to_records(group, frames, request.size, request.whole):
                    result.parts += [(service, record) for service in services]
        self._count(request, found, odd, groups, result)

    def _count(
        self,
        request: Opened,
        found: list[Route | None],
        odd: dict[int, Frame],
        groups: dict[tuple[bytes, ...], list[bytes]],
        result: Sorted,
    ) -> None:
        # A frame counts as one sample, but for those of which we know better.
        extra = [(found[index], _count(frame) - 1) for index, frame in odd.items()]
        passed_over = len(groups.get((), ())) + sum(n for route, n in extra if route and not route.services)
        result.unneeded = passed_over - result.standby
        needed = sum(len(group) for services, group in groups.items() if services)
        result.samples = needed + sum(n for route, n in extra if route and route.services)
        result.written.histograms = sum(frame.histograms for index, frame in odd.items() if found[index])
        result.written.samples = result.samples + passed_over - result.written.histograms
        result.written.exemplars = sum(number for index, number in request.exemplars.items() if found[index])


# Where samples of replicas go that are not elected: nowhere.
_STANDBY = Route("", ())


def _is_plain(frame: Frame, blob: bytes) -> bool:
    """Whether it is that label section and one sample: its tail."""
    return frame.blob == blob and len(frame.values) == frame.fields == 1


def _count(frame: Frame) -> int:
    return len(frame.values) + frame.histograms


def _newest(request: Opened, odd: dict[int, Frame]) -> int | None:
    times = request.tails.timestamps_ms.copy()
    times[[*odd, *request.faults]] = -1  # what stands there need not be a time
    newest = int(np.max(times))
    for frame in odd.values():
        newest = max(newest, *frame.timestamps_ms, *(histogram.timestamp for histogram in frame.native), -1)
    return newest if newest >= 0 else None

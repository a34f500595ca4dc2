"""From a request's body to what each service gets, without an object per sample.

A frame whose labels are known and that ends in one plain sample is only looked up; any other is read field by field.
No I/O here. A request is taken as a whole or not at all, but for new series beyond the limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.ingest.known_series import KnownSeries
from agents.ingest.routes import Route, Routes
from streams.wire.errors import TooLargeError
from streams.wire.frame import Frame
from streams.wire.limits import WireLimits
from streams.wire.request import Request, decompress, join_series, split_request
from streams.wire.samples import FrameReader, Tails, read_tails

# Brokers refuse batches above 1 MiB by default, compressed; what does not compress must fit too.
MAX_RECORD_BYTES = 900_000


@dataclass(slots=True)
class Sorted:
    """What a request comes to.

    parts: (service, WriteRequest), to be written in this order; none above MAX_RECORD_BYTES.
    samples: float samples and histograms that a budget needs, each counted once. unneeded: the others.
    refused_series, refused_samples: beyond the series limit. metadata: entries that are not kept.
    newest_ms: the newest float sample's time, None = there is none.
    """

    parts: list[tuple[bytes, bytes]] = field(default_factory=list)
    samples: int = 0
    unneeded: int = 0
    refused_series: int = 0
    refused_samples: int = 0
    metadata: int = 0
    newest_ms: int | None = None


class Sorter:
    """Sorts requests by the services that need them."""

    def __init__(self, routes: Routes, known: KnownSeries, limits: WireLimits, max_series: int) -> None:
        self._routes = routes
        self._known = known
        self._limits = limits
        self._max_series = max_series

    def sort(self, body: bytes) -> Sorted:
        """What each service gets of a compressed WriteRequest.

        Raises:
            MalformedError, TooLargeError: nothing of the request is kept.
        """
        if changed := self._routes.take_changes():
            self._known.forget(changed)
        data = decompress(body, self._limits)
        request = split_request(data, self._limits)
        tails = read_tails(request.frames)
        found = self._known.find(tails.blobs)
        result = Sorted(metadata=request.metadata)
        if found and all(found):
            result.newest_ms = int(tails.timestamps_ms.max())
            self._group(data, request, found, {}, result)
        elif found:
            odd = self._read_odd(request.frames, tails, found)
            result.newest_ms = _newest(tails, odd)
            self._take_odd(odd, found, result)
            self._group(data, request, found, odd, result)
        return result

    def _read_odd(self, frames: Sequence[bytes], tails: Tails, found: Sequence[Route | None]) -> dict[int, Frame]:
        reader = FrameReader(tails, self._limits)
        return {index: reader.read(frames, index) for index, route in enumerate(found) if route is None}

    def _take_odd(self, odd: dict[int, Frame], found: list[Route | None], result: Sorted) -> None:
        """Route the frames that were read one by one, and remember their series if there is room."""
        refused = set()
        for index, frame in odd.items():
            route = self._known.find_one(frame.blob)
            if route is None:
                route = self._routes.route_of(frame.labels)
                if route.services and self._known.needed >= self._max_series:
                    refused.add(frame.blob)
                    result.refused_samples += _count(frame)
                    continue
                self._known.add(frame.blob, route)
            found[index] = route
        result.refused_series = len(refused)

    def _group(
        self, data: bytearray, request: Request, found: list[Route | None], odd: dict[int, Frame], result: Sorted
    ) -> None:
        """Fill in the parts and the counts. A frame without a route is refused."""
        frames = request.frames
        groups: dict[tuple[bytes, ...], list[bytes]] = {}
        refused: list[bytes] = []
        put: dict[Route | None, Callable[[bytes], None]] = {None: refused.append}
        for route in set(found) - {None}:
            assert route is not None
            put[route] = groups.setdefault(route.services, []).append
        if len(groups) == 1 and request.plain and not result.refused_series and len(data) <= MAX_RECORD_BYTES:
            (services,) = groups
            groups[services] = frames
            value = bytes(data)
            result.parts += [(service, value) for service in services]
        else:
            for route, frame in zip(found, frames, strict=True):
                put[route](frame)
            for services, group in groups.items():
                if not services:
                    continue
                for piece in [join_series(group)] if len(data) <= MAX_RECORD_BYTES else _pieces(group, frames):
                    result.parts += [(service, piece) for service in services]
        extra = [(found[index], _count(frame) - 1) for index, frame in odd.items()]
        result.unneeded = len(groups.get((), ())) + sum(n for route, n in extra if route and not route.services)
        needed = sum(len(group) for services, group in groups.items() if services)
        result.samples = needed + sum(n for route, n in extra if route and route.services)


def _count(frame: Frame) -> int:
    return len(frame.values) + frame.histograms


def _newest(tails: Tails, odd: dict[int, Frame]) -> int | None:
    times = tails.timestamps_ms.copy()
    times[list(odd)] = -1  # what stands there need not be a time
    newest = max(int(times.max()), *(max(frame.timestamps_ms, default=-1) for frame in odd.values()))
    return newest if newest >= 0 else None


def _pieces(frames: list[bytes], request: Sequence[bytes]) -> list[bytes]:
    """Frames as WriteRequests that fit into records."""
    if sum(map(len, frames)) + 6 * len(frames) <= MAX_RECORD_BYTES:
        return [join_series(frames)]
    pieces: list[list[bytes]] = []
    room = 0
    for frame in frames:
        size = len(frame) + 6
        if size > MAX_RECORD_BYTES:
            place = request.index(frame) + 1
            raise TooLargeError(f"series {place}: {len(frame)} bytes long, at most {MAX_RECORD_BYTES - 6} are taken")
        if size > room:
            pieces.append([])
            room = MAX_RECORD_BYTES
        pieces[-1].append(frame)
        room -= size
    return [join_series(piece) for piece in pieces]

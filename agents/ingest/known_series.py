"""The series that this process has read before: label blob -> route, within bounds that no sender can move.

Two generations: what is asked for moves to the young one; when that is full, or has served its time, it becomes the
old one and what nobody asked for since is forgotten. A flood of new labels can push series out, which costs reading
them again, and never takes more memory.
"""

from collections.abc import Iterable, Sequence

from agents.ingest.routes import Route

Generation = dict[bytes, Route]


class KnownSeries:
    """A bounded mapping.

    most: blobs in both generations. most_bytes: their bytes. needed: series in it that a budget needs.
    generation: changes whenever series may have been forgotten.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = max(most // 2, 1)
        self._most_bytes = most_bytes // 2
        self._young: Generation = {}
        self._old: Generation = {}
        self._young_bytes = 0
        self._young_needed = 0
        self._old_needed = 0
        self.generation = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def needed(self) -> int:
        """How many of them a budget needs."""
        return self._young_needed + self._old_needed

    def find(self, blobs: Sequence[bytes]) -> list[Route | None]:
        """The routes of all blobs; None = not known."""
        found = list(map(self._young.get, blobs))
        if not all(found):
            for index, route in enumerate(found):
                if route is None:
                    found[index] = self._find_old(blobs[index])
        return found

    def find_one(self, blob: bytes) -> Route | None:
        """The route of one blob; None = not known."""
        return self._young.get(blob) or self._find_old(blob)

    def _find_old(self, blob: bytes) -> Route | None:
        route = self._old.pop(blob, None)
        if route is not None:
            self._old_needed -= bool(route.services)
            self.add(blob, route)
        return route

    def add(self, blob: bytes, route: Route) -> None:
        """Remember a blob that is not known; its labels are valid."""
        if len(self._young) >= self._most or self._young_bytes + len(blob) > self._most_bytes:
            self.age()
        self._young[blob] = route
        self._young_bytes += len(blob)
        self._young_needed += bool(route.services)

    def age(self) -> None:
        """Forget what was not asked for since the last call."""
        self._old, self._old_needed = self._young, self._young_needed
        self._young, self._young_needed, self._young_bytes = {}, 0, 0
        self.generation += 1

    def forget(self, metrics: Iterable[str | None]) -> None:
        """Forget the series of some metrics, whose routes changed; None among them = all series."""
        self.generation += 1
        changed = set(metrics)
        names = {metric for metric in changed if metric is not None}
        needles = [name.encode() for name in names]
        generations = (self._young, self._old)
        self._young, self._old = (
            {} if None in changed else _without(generation, names, needles) for generation in generations
        )
        self._young_bytes = sum(map(len, self._young))
        self._young_needed, self._old_needed = (
            sum(bool(route.services) for route in generation.values()) for generation in (self._young, self._old)
        )


def _without(generation: Generation, names: set[str], needles: list[bytes]) -> Generation:
    # A route without a metric is that of series nobody asked for: only the blob says which metric it is.
    return {
        blob: route
        for blob, route in generation.items()
        if route.metric not in names and (route.metric or not any(needle in blob for needle in needles))
    }

"""The cache of series: what it finds, what it forgets, and that it cannot be made to grow."""

import itertools

from agents.ingest.known_series import KnownSeries
from agents.ingest.routes import Route

NEEDED = Route("m", (b"a",))
UNNEEDED = Route("", ())


def blobs(count: int, start: int = 0) -> list[bytes]:
    return [b"m%d" % n for n in range(start, start + count)]


def fill(known: KnownSeries, of: list[bytes], route: Route = NEEDED) -> None:
    for blob, found in zip(of, known.find(of), strict=True):
        if found is None:
            known.add(blob, route)


def test_what_was_added_is_found() -> None:
    known = KnownSeries(100, 10_000)
    assert known.find(blobs(2)) == [None, None]
    known.add(b"m0", NEEDED)
    known.add(b"x", UNNEEDED)
    assert known.find([b"m0", b"m1", b"x"]) == [NEEDED, None, UNNEEDED]
    assert known.find_one(b"m0") is NEEDED
    assert known.find_one(b"m1") is None
    assert (len(known), known.needed) == (2, 1)


def test_half_of_it_is_always_held_whatever_the_order() -> None:
    known = KnownSeries(100, 10_000)
    wanted = blobs(50)
    for _ in range(5):
        fill(known, wanted)
        known.find(list(reversed(wanted)))
    assert None not in known.find(wanted)
    assert known.needed == 50


def test_series_in_use_survive_ageing_and_idle_ones_do_not() -> None:
    known = KnownSeries(100, 10_000)
    fill(known, blobs(20))
    known.age()
    known.find(blobs(10))
    known.age()
    assert known.needed == 10
    assert known.find(blobs(20)) == [NEEDED] * 10 + [None] * 10


def test_a_flood_of_new_labels_never_takes_more_room() -> None:
    known = KnownSeries(100, 1_000)
    for n in itertools.islice(itertools.count(), 5_000):
        known.add(b"%0*d" % (n % 90, n), NEEDED if n % 3 else UNNEEDED)
        assert len(known) <= 100
        assert sum(map(len, (*known._young, *known._old))) <= 1_000
    assert known.needed == sum(bool(route.services) for route in (*known._young.values(), *known._old.values()))


def test_only_series_of_changed_metrics_are_forgotten() -> None:
    known = KnownSeries(100, 10_000)
    known.add(b"..kept", Route("kept", (b"a",)))
    known.add(b"..changed", Route("changed", (b"a",)))
    known.age()
    known.add(b"..fresh", UNNEEDED)
    known.add(b"..other", UNNEEDED)
    known.forget({"changed", "fresh"})
    assert [route is not None for route in known.find([b"..kept", b"..changed", b"..fresh", b"..other"])] == [
        True,
        False,
        False,
        True,
    ]
    assert known.needed == 1
    known.forget({None})
    assert (len(known), known.needed) == (0, 0)

"""Which 1.0 requests are recognised by earlier ones, and which are not."""

import numpy as np
import pytest

from streams.wire.encode import encode_frame
from streams.wire.layouts import Layouts
from streams.wire.repeats import Repeated, recognise
from streams.wire.request import join_series
from streams.wire.samples import STALE_NAN, read_tails

NOW_MS = 1_764_000_000_000
COUNT = 200


def frames_of(numbers: list[int], at_ms: int = NOW_MS, value: float = 1.5) -> list[bytes]:
    """One sample of each series; some have long label sections."""
    return [
        encode_frame({"__name__": "x", "n": f"{n:05d}", "long": "y" * (n % 7 * 40)}, [(at_ms, value)]) for n in numbers
    ]


class Memory:
    """A memory and the series that its user knows; a series' number is that in its label, within 100."""

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        self.layouts = Layouts(most_bytes)
        self.known: dict[bytes, int] = {}

    def remember(self, frames: list[bytes]) -> None:
        sections = read_tails(frames).blobs
        numbers = [self.known.setdefault(section, len(self.known) % 100) for section in sections]
        self.layouts.remember(bytearray(join_series(frames)), frames, sections, np.array(numbers, np.uint16))

    def recognise(self, frames: list[bytes]) -> Repeated | None:
        return self.recognise_data(bytearray(join_series(frames)))

    def recognise_data(self, data: bytearray) -> Repeated | None:
        return recognise(data, self.layouts, lambda section: self.known.get(section, -1))

    def is_right(self, frames: list[bytes]) -> bool:
        """Whether the request is recognised; if so, everything said of it must be right."""
        found = self.recognise(frames)
        if found is None:
            return False
        data = join_series(frames)
        pieces = [data[a:b] for a, b in zip(found.starts.tolist(), found.starts.tolist()[1:], strict=False)]
        tails = read_tails(frames)
        assert pieces == [join_series([frame]) for frame in frames]
        assert found.numbers.tolist() == [self.known[section] for section in tails.blobs]
        assert found.newest_ms == tails.timestamps_ms.max()
        return True


@pytest.fixture(autouse=True)
def _every_series_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of eight, by hashes that are others in every run."""
    monkeypatch.setattr("streams.wire.layouts._ANCHOR_MASK", 0)


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    memory.remember(frames_of(list(range(COUNT))))
    return memory


def test_nothing_is_recognised_before_anything_was_remembered() -> None:
    assert not Memory().is_right(frames_of(list(range(COUNT))))


@pytest.mark.parametrize("at_ms", [NOW_MS, NOW_MS + 15_000, 1 << 35, (1 << 42) - 1])
@pytest.mark.parametrize("value", [7.0, -1e300, float("inf"), STALE_NAN])
def test_other_values_and_times_are_the_same_series(memory: Memory, at_ms: int, value: float) -> None:
    assert memory.is_right(frames_of(list(range(COUNT)), at_ms, value))


@pytest.mark.parametrize("at_ms", [0, 1, (1 << 35) - 1, 1 << 42, -1])
def test_times_of_another_length_are_read_elsewhere(memory: Memory, at_ms: int) -> None:
    assert not memory.is_right(frames_of(list(range(COUNT)), at_ms))
    odd = frames_of(list(range(COUNT)))
    odd[100:101] = frames_of([100], at_ms)
    assert not memory.is_right(odd)


def test_a_varint_that_does_not_end_is_no_time(memory: Memory) -> None:
    data = bytearray(join_series(frames_of(list(range(COUNT)))))
    data[-1] |= 0x80
    assert memory.recognise_data(data) is None


def test_a_part_is_recognised_wherever_it_begins_and_ends(memory: Memory) -> None:
    assert memory.is_right(frames_of(list(range(37, 150))))
    memory.remember(frames_of(list(range(COUNT, 2 * COUNT))))
    assert memory.is_right(frames_of(list(range(50, 2 * COUNT - 50))))


def test_a_missing_a_new_place_and_a_known_series_between_are_no_hindrance(memory: Memory) -> None:
    order = list(range(COUNT))
    assert memory.is_right(frames_of(order[:90] + order[91:]))
    assert memory.is_right(frames_of(order[120:] + order[:120]))
    assert memory.is_right(frames_of([*order[:50], 150, *order[50:]]))
    assert memory.is_right(frames_of([7] * 3 + order))


def test_an_order_that_is_quite_different_is_read_series_by_series(memory: Memory) -> None:
    assert not memory.is_right(frames_of(list(range(COUNT))[::-1]))


def test_zeros_come_and_go(memory: Memory) -> None:
    for zeros in (set[int](), {0}, {COUNT - 1}, {3, 77, 78, 140}):
        frames = [frames_of([n], NOW_MS + 1, 0.0 if n in zeros else 2.0)[0] for n in range(COUNT)]
        assert memory.is_right(frames)
        memory.remember(frames)
    everything = frames_of(list(range(COUNT)), NOW_MS, 0.0)
    assert not memory.is_right(everything)
    memory.remember(everything)
    assert memory.is_right(everything)


def test_any_other_byte_outside_of_values_is_noticed(memory: Memory) -> None:
    frames = frames_of(list(range(COUNT)))
    data = join_series(frames)
    at, end = len(join_series(frames[:100])), len(join_series(frames[:101]))
    for place in range(at, end):
        changed = bytearray(data)
        changed[place] ^= 0x80
        is_value = end - 15 <= place < end - 7
        assert (memory.recognise_data(changed) is not None) == is_value, place


def test_what_is_cut_off_or_follows_is_noticed(memory: Memory) -> None:
    data = join_series(frames_of(list(range(COUNT))))
    for changed in (
        data[:-1],
        data[:-30],
        data + b"\x0a",
        data + b"\x0a\x00",
        data + b"\x1a\x00",
        data + b"\x0a\xff\xff",
    ):
        assert memory.recognise_data(bytearray(changed)) is None


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x0a\x00", b"\x1a\x02\x08\x01", bytes(40)])
def test_requests_without_series_are_read_elsewhere(memory: Memory, data: bytes) -> None:
    assert memory.recognise_data(bytearray(data)) is None


def test_one_known_series_is_enough(memory: Memory) -> None:
    assert memory.is_right(frames_of([3], NOW_MS, 0.0))


def test_memory_is_bounded_and_what_was_used_last_stays() -> None:
    memory = Memory(200_000)
    for first in range(0, 10_000, COUNT):
        assert memory.is_right(frames_of(list(range(COUNT)))) or first == 0
        memory.remember(frames_of(list(range(first, first + COUNT))))
        assert memory.layouts.byte_count <= 200_000
    assert memory.is_right(frames_of(list(range(COUNT))))
    assert not memory.is_right(frames_of(list(range(3 * COUNT, 4 * COUNT))))
    memory.layouts.clear()
    assert (memory.layouts.byte_count, len(memory.layouts)) == (0, 0)


def test_a_request_that_says_the_same_takes_the_place_of_an_older_one(memory: Memory) -> None:
    for _ in range(5):
        memory.remember(frames_of(list(range(COUNT))))
    assert len(memory.layouts) == 1
    memory.remember(frames_of(list(range(50))))
    assert len(memory.layouts) == 1, "too short to be worth it"


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    memory = Memory(10_000)
    memory.remember(frames_of(list(range(COUNT))))
    assert (memory.layouts.byte_count, len(memory.layouts)) == (0, 0)

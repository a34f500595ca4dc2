"""Which 2.0 requests are recognised by earlier ones, and which are not."""

from collections.abc import Iterable

import numpy as np
import pytest

from streams.wire.encode import encode_frame
from streams.wire.layouts import Layouts
from streams.wire.limits import WireLimits
from streams.wire.repeats import Repeated, recognise
from streams.wire.repeats_2 import recognise_2, remember_2
from streams.wire.request import join_series, split_series
from streams.wire.request_2 import Translator
from streams.wire.samples import STALE_NAN, read_tails
from streams.wire.symbols import SeriesMemory
from tests.unit.write_request_2 import message_of

NOW_MS = 1_764_000_000_000
COUNT = 200
MOST_BYTES = 900_000


def labels_of(number: int) -> dict[str, str]:
    """Some have long label sections, some one label more."""
    labels = {"__name__": "x", "n": f"{number:05d}", "long": "y" * (number % 7 * 40 + 1)}
    return {**labels, "more": "z"} if number % 5 == 0 else labels


def request(numbers: Iterable[int], at_ms: int = NOW_MS, value: float = 1.5) -> bytes:
    message = message_of([(labels_of(n), [(at_ms, value)]) for n in numbers], ("help", "unit"))
    return bytes(message.SerializeToString())


class Memory:
    """A memory and the series that its user knows; a series' number is that in its label, within 100."""

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        self.layouts = Layouts(most_bytes)
        self.symbols = SeriesMemory(1 << 20)
        self.translator = Translator(self.symbols, WireLimits())
        self.known: dict[bytes, int] = {}

    def remember(self, data: bytes) -> None:
        read = self.translator.read(data)
        sections = self.translator.translate(read).tails.blobs
        numbers = [self.known.setdefault(section, len(self.known) % 100) for section in sections]
        assert read.references is not None
        remember_2(sections, read.references, np.array(numbers, np.uint16), self.layouts)

    def find(self, section: bytes) -> int:
        return self.known.get(section, -1)

    def recognise(self, data: bytes, most_bytes: int = MOST_BYTES) -> Repeated | None:
        read = self.translator.read(data)
        if read.references is None:
            return None
        return recognise_2(read.plain, read.references, self.layouts, self.symbols, self.find, most_bytes)

    def is_right(self, data: bytes) -> bool:
        """Whether the request is recognised; if so, everything said of it must be right."""
        found = self.recognise(data)
        if found is None:
            return False
        wanted = self.translator.translate(self.translator.read(data)).tails
        frames = split_series(found.content)
        tails = read_tails(frames)
        assert tails.blobs == wanted.blobs
        assert tails.values.tobytes() == wanted.values.tobytes()
        assert tails.timestamps_ms.tolist() == wanted.timestamps_ms.tolist()
        assert found.starts.tolist() == np.cumsum([0, *(len(join_series([frame])) for frame in frames)]).tolist()
        assert found.numbers.tolist() == [self.known[section] for section in wanted.blobs]
        assert found.newest_ms == wanted.timestamps_ms.max()
        return True


@pytest.fixture(autouse=True)
def _every_series_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of eight, by hashes that are others in every run."""
    monkeypatch.setattr("streams.wire.layouts._ANCHOR_MASK", 0)


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    memory.remember(request(range(COUNT)))
    return memory


def test_nothing_is_recognised_before_anything_was_remembered() -> None:
    assert not Memory().is_right(request(range(COUNT)))


@pytest.mark.parametrize("at_ms", [NOW_MS, NOW_MS + 15_000, 1 << 35, (1 << 42) - 1])
@pytest.mark.parametrize("value", [7.0, 0.0, -0.0, -1e300, float("inf"), STALE_NAN])
def test_other_values_and_times_are_the_same_series(memory: Memory, at_ms: int, value: float) -> None:
    assert memory.is_right(request(range(COUNT), at_ms, value))


@pytest.mark.parametrize("at_ms", [0, 1, (1 << 35) - 1, 1 << 42, -1])
def test_times_of_another_length_are_read_elsewhere(memory: Memory, at_ms: int) -> None:
    assert not memory.is_right(request(range(COUNT), at_ms))


def test_zeros_stand_among_others(memory: Memory) -> None:
    message = message_of([(labels_of(n), [(NOW_MS + n, n % 3 * 1.5)]) for n in range(COUNT)])
    assert memory.is_right(message.SerializeToString())


def test_start_timestamps_and_metadata_make_no_difference(memory: Memory) -> None:
    message = message_of([(labels_of(n), [(NOW_MS, 2.0)]) for n in range(COUNT)])
    for number, series in enumerate(message.timeseries):
        if number % 3 == 0:
            series.samples[0].start_timestamp = NOW_MS - 1
        elif number % 3 == 1:
            series.created_timestamp = NOW_MS - 1
        else:
            series.ClearField("metadata")
    assert memory.is_right(message.SerializeToString())


def test_a_part_is_recognised_wherever_it_begins_and_ends_whatever_its_references_are(memory: Memory) -> None:
    assert memory.is_right(request(range(37, 150)))
    memory.remember(request(range(COUNT, 2 * COUNT)))
    assert memory.is_right(request(range(50, 2 * COUNT - 50)))


def test_a_missing_a_new_place_and_a_known_series_between_are_no_hindrance(memory: Memory) -> None:
    order = list(range(COUNT))
    assert memory.is_right(request(order[:90] + order[91:]))
    assert memory.is_right(request(order[120:] + order[:120]))
    assert memory.is_right(request([*order[:50], 150, *order[50:]]))
    assert memory.is_right(request([7] * 3 + order))


def test_an_order_that_is_quite_different_is_read_series_by_series(memory: Memory) -> None:
    assert not memory.is_right(request(range(COUNT)[::-1]))


def test_a_new_series_is_read_elsewhere(memory: Memory) -> None:
    assert not memory.is_right(request([*range(100), 999, *range(100, COUNT)]))


def test_a_series_that_its_user_forgot_is_read_elsewhere_where_it_stands_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.wire.layouts._ANCHOR_MASK", -1)  # only the first series can be found
    memory = Memory()
    memory.remember(request(range(COUNT)))
    data = request([*range(100), 3, *range(101, COUNT)])
    assert memory.is_right(data)
    memory.known.clear()
    assert memory.recognise(data) is None


def test_one_known_series_is_enough(memory: Memory) -> None:
    assert memory.is_right(request([3], NOW_MS, 0.0))


def test_series_that_share_their_first_labels_or_their_last_ones_are_told_apart(memory: Memory) -> None:
    for change in ({"n": "00007"}, {"long": "z"}, {"__name__": "y"}, {"a": "first"}, {"z": "last"}):
        series = [(labels_of(n), [(NOW_MS, 1.0)]) for n in range(COUNT)]
        series[100] = ({**series[100][0], **change}, [(NOW_MS, 1.0)])
        assert not memory.is_right(message_of(series).SerializeToString())


def test_references_that_are_shared_out_otherwise_are_other_series() -> None:
    """Two series in a row have the same references as another two."""
    memory = Memory()
    pairs = [{"a": f"{n}", "b": "1"} if n % 2 else {"a": f"{n}", "b": "1", "c": "2", "d": "3"} for n in range(COUNT)]
    memory.remember(message_of([(pair, [(NOW_MS, 1.0)]) for pair in pairs]).SerializeToString())
    message = message_of([(pair, [(NOW_MS, 1.0)]) for pair in pairs])
    first, second = message.timeseries[100], message.timeseries[101]
    moved = first.labels_refs[-2:]
    del first.labels_refs[-2:]
    rest = list(second.labels_refs)
    del second.labels_refs[:]
    second.labels_refs.extend([*moved, *rest])
    assert not memory.is_right(message.SerializeToString())


def test_what_would_be_longer_than_is_wanted_is_read_elsewhere(memory: Memory) -> None:
    data = request(range(COUNT))
    found = memory.recognise(data)
    assert found is not None
    assert memory.recognise(data, len(found.content)) is not None
    assert memory.recognise(data, len(found.content) - 1) is None


def test_both_versions_share_layouts(memory: Memory) -> None:
    frames = [encode_frame(labels_of(n), [(NOW_MS, 7.0)]) for n in range(COUNT)]
    data = bytearray(join_series(frames))
    found = recognise(data, memory.layouts, memory.find)
    assert found is not None, "a 1.0 request, by one of 2.0"
    sections = read_tails(frames).blobs
    memory.layouts.remember(data, frames, sections, found.numbers)
    assert len(memory.layouts) == 1
    assert not memory.is_right(request(range(COUNT))), "a 2.0 request, by one of 1.0"


def test_memory_is_bounded_and_what_was_used_last_stays() -> None:
    memory = Memory(200_000)
    for first in range(0, 10_000, COUNT):
        assert memory.is_right(request(range(COUNT))) or first == 0
        memory.remember(request(range(first, first + COUNT)))
        assert memory.layouts.byte_count <= 200_000
    assert memory.is_right(request(range(COUNT)))
    memory.layouts.clear()
    assert (memory.layouts.byte_count, len(memory.layouts)) == (0, 0)

"""What 2.0's wire takes, refuses and says about it, and what is remembered between requests."""

import tracemalloc
from typing import Any

import pytest

from streams.wire.encode import encode_frame
from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.limits import WireLimits
from streams.wire.protobuf import encode_bytes
from streams.wire.request_2 import Translation, Translator, split_request_2
from streams.wire.symbols import SeriesMemory, encode_section
from tests.unit.write_request_2 import Request, Symbols, message_of

NOW_MS = 1_764_000_000_000
LABELS = {"__name__": "up", "job": "a"}


def translate(message: Any, limits: WireLimits | None = None) -> Translation:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return translate_by(Translator(SeriesMemory(1 << 20), limits or WireLimits()), data)


def translate_by(translator: Translator, data: bytes) -> Translation:
    return translator.translate(translator.read(data))


def one_series(symbols: list[str] | None = None, **fields: Any) -> Any:
    return Request(symbols=symbols or ["", "__name__", "up", "job", "a"], timeseries=[fields])


SAMPLE = {"value": 1.5, "timestamp": NOW_MS}
FRAME = encode_frame(LABELS, [(NOW_MS, 1.5)])


@pytest.mark.parametrize(
    "fields",
    [
        {"samples": [SAMPLE]},
        {"samples": [SAMPLE | {"start_timestamp": NOW_MS - 5000}]},
        {"samples": [SAMPLE | {"start_timestamp": -1}]},
        {"samples": [SAMPLE], "created_timestamp": NOW_MS - 5000},
        {"samples": [SAMPLE], "created_timestamp": 7},
        {"samples": [SAMPLE], "metadata": {}},
        {"samples": [SAMPLE], "metadata": {"type": 1, "help_ref": 4, "unit_ref": 4}},
        {"samples": [SAMPLE], "metadata": {"type": 1, "help_ref": 1 << 31, "unit_ref": 1 << 31}},
        {"samples": [SAMPLE], "metadata": {"type": 1}, "created_timestamp": NOW_MS},
        {"samples": [SAMPLE], "exemplars": [{"labels_refs": [3, 4], "value": 1.0, "timestamp": NOW_MS}]},
    ],
)
def test_a_series_is_the_same_frame_whatever_stands_beside_its_sample(fields: dict[str, Any]) -> None:
    result = translate(one_series(labels_refs=[1, 2, 3, 4], **fields))
    assert (result.frames, result.faults) == ([FRAME], {})


def test_references_one_by_one_are_references_too() -> None:
    series = b"\x08\x01\x08\x02\x08\x03\x08\x04" + FRAME[-18:]
    data = one_series().SerializeToString().partition(b"\x2a")[0] + encode_bytes(5, series)
    assert translate(data).frames == [FRAME]


def test_histograms_lose_their_start_timestamp_only() -> None:
    histogram = {"count_int": 1, "sum": 2.0, "zero_count_int": 1, "timestamp": NOW_MS}
    bare = one_series(labels_refs=[1, 2, 3, 4], histograms=[histogram])
    started = one_series(labels_refs=[1, 2, 3, 4], histograms=[histogram | {"start_timestamp": NOW_MS - 1}])
    content = bare.timeseries[0].histograms[0].SerializeToString()
    assert translate(bare).frames == translate(started).frames == [encode_frame(LABELS, []) + encode_bytes(4, content)]


def test_large_tables_are_referred_to_in_three_bytes() -> None:
    symbols = [f"s{n}" for n in range(20_000)] + ["__name__", "up", "job", "a"]
    result = translate(one_series(symbols, labels_refs=list(range(20_000, 20_004)), samples=[SAMPLE]))
    assert result.frames == [FRAME]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"labels_refs": [1, 2, 3], "samples": [SAMPLE]}, "series 2: 3 label references: a name without a value"),
        ({"labels_refs": [1, 2, 3, 5], "samples": [SAMPLE]}, "series 2: a label refers to symbol 5, there are 5"),
        ({"labels_refs": [1, 2, 3, 1 << 31], "samples": [SAMPLE]}, "series 2: a label refers to symbol 2147483648"),
        ({"labels_refs": [1, 2]}, "series 2: no sample and no histogram"),
        ({"labels_refs": [1, 2], "metadata": {"type": 1}}, "series 2: no sample and no histogram"),
        (
            {"labels_refs": [1, 2], "exemplars": [{"labels_refs": [9, 1]}], "samples": [SAMPLE]},
            "series 2: a label refers to symbol 9",
        ),
        (
            {"labels_refs": [1, 2], "exemplars": [{"labels_refs": [1]}], "samples": [SAMPLE]},
            "series 2: an exemplar has a label name without a value",
        ),
        ({"labels_refs": [1, 2] * 65, "samples": [SAMPLE]}, "series 2: more than 64 labels"),
        ({"labels_refs": [1, 2] * 65, "samples": [SAMPLE, SAMPLE]}, "series 2: more than 64 labels"),
    ],
)
def test_a_series_at_fault_is_named_and_the_others_stay(fields: dict[str, Any], says: str) -> None:
    message = one_series(labels_refs=[1, 2, 3, 4], samples=[SAMPLE])
    message.timeseries.add(**fields)
    message.timeseries.add(labels_refs=[1, 2, 3, 4], samples=[SAMPLE])
    result = translate(message)
    assert result.frames == [FRAME, b"", FRAME]
    assert list(result.faults) == [1]
    assert str(result.faults[1]).startswith(says)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x22", "byte 1: expected a varint"),
        (b"\x22\x00\x2a\x05a", "byte 2: field 5 is 4 bytes longer than what is left"),
        (b"\x28\x01", "a series has wire type 0"),
        (b"\x20\x01", "a symbol has wire type 0"),
        (encode_bytes(1, FRAME), "byte 0: field 1 belongs to remote write 1.0"),
    ],
)
def test_a_bad_message_is_refused_with_its_place(data: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        translate(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x2a\x00" * 11, "more than 10 series"),
        (b"\x22\x00" * 21, "more than 20 symbols"),
        (b"\xaa\x00\x00" * 11, "more than 10 series"),
    ],
)
def test_counts_are_limited(data: bytes, says: str) -> None:
    with pytest.raises(TooLargeError, match=says):
        split_request_2(data, WireLimits(max_series=10, max_symbols=20))


@pytest.mark.parametrize("tag", [b"\x2a", b"\x22"])
def test_millions_of_empty_parts_are_refused_without_being_made(tag: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError, match="more than"):
            split_request_2(tag + b"\x00" + (tag + b"\x00") * 4_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("samples", [[SAMPLE], [SAMPLE, SAMPLE]])
def test_few_symbols_that_make_long_labels_many_times_are_a_bomb(samples: list[Any]) -> None:
    message = Request(symbols=["", "__name__", "x" * 900])
    for _ in range(40):
        message.timeseries.add(labels_refs=[1, 2], samples=samples)
    translator = Translator(SeriesMemory(1 << 20), WireLimits(max_decoded_bytes=20_000))
    for _ in range(2):  # when they are new, and when they are known
        with pytest.raises(TooLargeError, match="labels of all series are longer than 20000 bytes"):
            translate_by(translator, message.SerializeToString())


def test_one_symbol_that_is_too_long_is_its_series_fault() -> None:
    message = Request(symbols=["", "__name__", "x" * 20_000, "up", "job", "a"])
    message.timeseries.add(labels_refs=[1, 2], samples=[SAMPLE])
    message.timeseries.add(labels_refs=[1, 3, 4, 5], samples=[SAMPLE])
    result = translate(message)
    assert result.frames == [b"", FRAME]
    assert isinstance(result.faults[0], TooLargeError)


def test_metadata_that_is_none_is_a_fault() -> None:
    series = one_series(labels_refs=[1, 2, 3, 4], samples=[SAMPLE]).timeseries[0].SerializeToString()
    symbols = one_series().SerializeToString().partition(b"\x2a")[0]
    for bad in (b"\x0a", b"\x08", b"\x0a\x01a", b"\x18\x80", b"\x01\x02"):
        result = translate(symbols + encode_bytes(5, series) + encode_bytes(5, series + encode_bytes(5, bad)))
        assert (result.frames, list(result.faults)) == ([FRAME, b""], [1])


def test_metadata_and_exemplars_are_counted() -> None:
    message = message_of([(LABELS, [(NOW_MS, 1.0)]), (LABELS, [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)])], ("help", "s"))
    message.timeseries[1].exemplars.add(labels_refs=[1, 2], value=1.0)
    message.timeseries.add(labels_refs=[1, 2], samples=[SAMPLE], metadata={})
    result = translate(message)
    assert (result.metadata, result.exemplars) == (2, {1: 1})


def test_labels_are_written_as_1_0_writes_them() -> None:
    long = {"__name__": "up", "a": "x" * 200, "b" * 130: "y", "empty": ""}
    symbols = Symbols()
    references = symbols.labels(long)
    names = [name.encode() for name in symbols.numbers]
    assert encode_section(names, references) == encode_frame(long, [])
    assert encode_section([b"", b"a"], [0, 1]) == b"\x0a\x03\x12\x01a"


def test_symbols_keep_their_numbers_and_nobody_gets_them_again() -> None:
    memory = SeriesMemory(4_000)
    first = memory.number([b"a", b"b"]).tolist()
    seen = set(first)
    for n in range(200):
        numbers = memory.number([b"%d" % n, b"a"]).tolist()
        assert numbers[0] not in seen
        assert numbers[1] == first[0]
        seen.add(numbers[0])
    assert memory.number([b"b"]).tolist()[0] not in seen


def test_numbers_that_are_used_up_begin_again_in_another_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.wire.symbols._MOST_NUMBERS", 1)
    memory = SeriesMemory(4_000)
    assert (memory.number([b"a", b"b"]).tolist(), memory.epoch) == ([0, 1], 0)
    assert (memory.number([b"b"]).tolist(), memory.epoch) == ([0], 1)


def test_label_sections_that_nobody_asks_for_make_room() -> None:
    memory = SeriesMemory(4_000)
    memory.add(b"kept", b"blob")
    memory.add(b"idle", b"blob")
    for n in range(200):
        memory.add(b"%d" % n, b"x")
        assert memory.find([b"kept"]) == [b"blob"]
    assert memory.find([b"idle"]) == [b""]

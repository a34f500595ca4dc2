"""Every answer to a remote write 2.0 request, with what it says was written, over HTTP; Kafka is a fake."""

import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.ingest.endpoint import PATH, WRITTEN
from tests.unit.ingest_parts import NOW_MS, samples_of
from tests.unit.test_ingest_endpoint import GOOD, Role, running
from tests.unit.write_request_2 import HEADERS, Request, Symbols, compress, message_of

SAMPLE = {"value": 1.0, "timestamp": NOW_MS}
HISTOGRAM = {"count_int": 2, "sum": 3.0, "zero_count_int": 2, "timestamp": NOW_MS + 1}
NEEDED = {"__name__": "http_requests_total", "service": "a"}
Counts = tuple[str, str, str]
NOTHING: Counts = ("0", "0", "0")


@pytest.fixture
async def role() -> AsyncIterator[Role]:
    async with running() as started:
        yield started


async def post(role: Role, body: bytes, headers: dict[str, str] = HEADERS) -> tuple[int, str, tuple[str | None, ...]]:
    async with role.client.post(PATH, data=body, headers=headers) as answer:
        names = ("Samples", "Histograms", "Exemplars")
        return answer.status, await answer.text(), tuple(answer.headers.get(WRITTEN.format(name)) for name in names)


class Building:
    """A 2.0 request, series by series."""

    def __init__(self) -> None:
        self.symbols = Symbols()
        self.request = Request()

    def add(self, labels: dict[str, str], **fields: Any) -> "Building":
        self.request.timeseries.add(labels_refs=self.symbols.labels(labels), **fields)
        return self

    def add_broken(self, references: list[int], **fields: Any) -> "Building":
        self.request.timeseries.add(labels_refs=references, **fields)
        return self

    def body(self) -> bytes:
        self.request.symbols.extend(self.symbols.numbers)
        return compress(self.request)


async def test_everything_that_was_taken_is_counted_in_the_answer(role: Role) -> None:
    exemplar = {"value": 1.0, "timestamp": NOW_MS}
    building = Building()
    building.add(NEEDED, samples=[SAMPLE])
    building.add(NEEDED | {"n": "2"}, samples=[SAMPLE, SAMPLE | {"timestamp": NOW_MS + 9}], exemplars=[exemplar] * 2)
    building.add(NEEDED | {"n": "3"}, histograms=[HISTOGRAM], metadata={"type": 1})
    building.add({"__name__": "up"}, samples=[SAMPLE])
    body = building.body()
    for _ in range(2):
        assert await post(role, body) == (204, "", ("4", "1", "2"))
    (key, value), *_ = role.kafka.records()
    assert key == b"a"
    assert [(labels.get("n"), at_ms) for labels, at_ms, _ in samples_of(value)] == [
        (None, NOW_MS),
        ("2", NOW_MS),
        ("2", NOW_MS + 9),
    ]
    assert role.metric("driftline_ingest_samples_total") == 8
    assert role.metric('driftline_ingest_samples_dropped_total{reason="unneeded"}') == 2
    assert role.metric("driftline_ingest_exemplars_dropped_total") == 4
    assert role.metric("driftline_ingest_metadata_dropped_total") == 2


@pytest.mark.parametrize("body", [compress(Request()), compress(Request(symbols=[""]))])
async def test_a_request_without_series_is_taken(role: Role, body: bytes) -> None:
    assert await post(role, body) == (204, "", NOTHING)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda b: b.add_broken([0, 77], samples=[SAMPLE]), "series 2: a label refers to symbol 77"),
        (lambda b: b.add_broken([1], samples=[SAMPLE]), "series 2: 1 label references: a name without"),
        (lambda b: b.add({"job": "secret-value"}, samples=[SAMPLE]), "series 2: label __name__ is missing or empty"),
        (lambda b: b.add(NEEDED | {"n": "2"}), "series 2: no sample and no histogram"),
        (
            lambda b: b.add(NEEDED | {"n": "2"}, samples=[SAMPLE], histograms=[HISTOGRAM | {"count_int": 9}]),
            "series 2: a histogram counts 9 observations, its buckets 2",
        ),
        (lambda b: b.add(NEEDED | {f"l{n}": "x" for n in range(5)}, samples=[SAMPLE]), "series 2: more than 5 labels"),
        (lambda b: b.add(NEEDED | {"n": "x" * 1_000}, samples=[SAMPLE]), "series 2: .*bytes"),
    ],
)
async def test_of_a_partly_good_request_the_good_series_are_kept_and_counted(
    role: Role, broken: Any, says: str
) -> None:
    building = Building().add(NEEDED, samples=[SAMPLE])
    broken(building)
    body = building.add({"__name__": "up"}, samples=[SAMPLE]).body()
    for _ in range(2):
        status, text, counts = await post(role, body)
        assert (status, counts) == (400, ("2", "0", "0"))
        assert text.startswith("1 of 3 series at fault, others are kept; series 2: ")
        assert says.removeprefix("series 2: ").split(".*")[0] in text
        assert "secret-value" not in text
    assert [samples_of(value) for _, value in role.kafka.records()] == [[(NEEDED, NOW_MS, 1.0)]] * 2


async def test_a_request_of_which_nothing_fits_is_too_large(role: Role) -> None:
    body = Building().add({f"l{n}": "x" for n in range(6)}, samples=[SAMPLE]).body()
    status, text, counts = await post(role, body)
    assert (status, counts) == (413, NOTHING)
    assert "series 1: more than 5 labels" in text


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not a snappy block"),
        (GOOD, 400, "belongs to remote write 1.0"),
        (compress(message_of([(NEEDED, [(NOW_MS, 1.0)])]))[:-3], 400, "not a snappy block"),
        (compress(message_of([(NEEDED, [(NOW_MS, 1.0)])] * 101)), 413, "more than 100 series"),
    ],
)
async def test_a_request_that_cannot_be_read_says_that_nothing_was_written(
    role: Role, body: bytes, status: int, says: str
) -> None:
    answered, text, counts = await post(role, body)
    assert (answered, counts) == (status, NOTHING)
    assert says in text
    assert role.kafka.records() == []


async def test_refused_series_do_not_count_as_written() -> None:
    async with running(max_series=1) as role:
        known = Building().add(NEEDED, samples=[SAMPLE]).body()
        assert (await post(role, known))[0] == 204
        both = Building().add(NEEDED, samples=[SAMPLE]).add(NEEDED | {"n": "2"}, samples=[SAMPLE]).body()
        status, text, counts = await post(role, both)
        assert (status, counts) == (400, ("1", "0", "0"))
        assert text.startswith("1 new series refused")


async def test_nothing_is_written_while_kafka_is_away(role: Role) -> None:
    role.kafka.away = True
    status, _, counts = await post(role, Building().add(NEEDED, samples=[SAMPLE]).body())
    assert (status, counts) == (503, NOTHING)


async def test_a_1_0_request_has_no_such_headers(role: Role) -> None:
    headers = HEADERS | {"Content-Type": "application/x-protobuf"}
    assert await post(role, GOOD, headers) == (204, "", (None, None, None))


async def test_stale_markers_keep_their_bits(role: Role) -> None:
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0_0000_0000_0002))[0]
    body = Building().add(NEEDED, samples=[{"value": stale, "timestamp": NOW_MS}]).body()
    for _ in range(2):
        assert (await post(role, body))[0] == 204
    for _, value in role.kafka.records():
        ((_, _, number),) = samples_of(value)
        assert struct.pack("<d", number) == struct.pack("<Q", 0x7FF0_0000_0000_0002)

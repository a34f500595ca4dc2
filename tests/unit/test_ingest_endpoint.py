"""Every answer of `POST /api/v1/write`, from the real application over HTTP; Kafka is a fake."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, generate_latest

from agents.ingest.endpoint import PATH, Endpoint
from agents.ingest.sample_log import SampleLog
from agents.ingest.sorting import Sorted
from agents.metrics import IngestMetrics
from streams.wire.encode import encode_frame
from streams.wire.limits import WireLimits
from streams.wire.protobuf import encode_bytes, encode_varint
from streams.wire.request import compress, join_series
from tests.unit.ingest_parts import (
    NOW_MS,
    FakeKafka,
    NoPairs,
    body_of,
    budget_of,
    create_sorter,
    requests_total,
    routes_of,
    samples_of,
    series,
    until,
)

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
GOOD = body_of(series("http_requests_total", service="a"))
MAX_BODY_BYTES = 5_000


@dataclass
class Role:
    client: TestClient[web.Request, web.Application]
    kafka: FakeKafka
    registry: CollectorRegistry
    problems: list[str]

    async def post(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
        async with self.client.post(PATH, data=body, headers=HEADERS if headers is None else headers) as answer:
            return answer.status, await answer.text()

    def metric(self, line: str) -> float:
        lines = [text for text in generate_latest(self.registry).decode().splitlines() if text.startswith(line + " ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@asynccontextmanager
async def running(max_pending_bytes: int = 1 << 20, max_series: int = 1000) -> AsyncIterator[Role]:
    kafka = FakeKafka()
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    limits = WireLimits(max_decoded_bytes=20_000, max_series=100, max_labels=5, max_label_bytes=1_000)
    sorter = create_sorter(routes_of(budget_of("a", requests_total("a"))), limits, max_series)
    log = SampleLog("samples", kafka.producer, metrics, max_pending_bytes, delivery_seconds=0.2)
    problems: list[str] = []
    endpoint = Endpoint(
        sorter,
        log,
        NoPairs(),
        metrics,
        MAX_BODY_BYTES,
        lambda: log.problem or (problems[0] if problems else None),
        clock=lambda: NOW_MS / 1000 + 0.3,
    )
    app = web.Application()
    app.router.add_post(PATH, endpoint.handle)
    task = asyncio.create_task(log.run())
    await until(lambda: log.problem is None)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    async with TestClient(server) as client:
        yield Role(client, kafka, registry, problems)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def role() -> AsyncIterator[Role]:
    async with running() as started:
        yield started


async def test_204_means_that_kafka_has_acknowledged(role: Role) -> None:
    assert await role.post(GOOD) == (204, "")
    ((key, value),) = role.kafka.records()
    assert key == b"a"
    assert samples_of(value) == [({"__name__": "http_requests_total", "service": "a"}, NOW_MS, 1.0)]


async def test_what_no_budget_needs_is_counted_and_answered_204(role: Role) -> None:
    assert await role.post(body_of(series("up"), series("http_requests_total", service="a"))) == (204, "")
    assert await role.post(body_of(series("up"))) == (204, "")
    assert await role.post(compress(b"")) == (204, "")
    assert await role.post(compress(encode_bytes(3, b"\x08\x01"))) == (204, "")
    assert role.metric('driftline_ingest_samples_dropped_total{reason="unneeded"}') == 2
    assert role.metric("driftline_ingest_samples_total") == 1
    assert role.metric("driftline_ingest_metadata_dropped_total") == 1
    assert role.metric('driftline_ingest_requests_total{code="204"}') == 4
    assert role.metric("driftline_ingest_delay_seconds_sum") == pytest.approx(0.3)


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS | {"Content-Type": "application/x-protobuf;proto=prometheus.WriteRequest"},
        HEADERS | {"Content-Type": 'Application/X-Protobuf; proto="prometheus.WriteRequest"'},
        HEADERS | {"Content-Type": 'application/x-protobuf; a="x;proto=other"; proto=prometheus.WriteRequest;'},
        HEADERS | {"Content-Encoding": "Snappy"},
        {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "User-Agent": "k6"},
    ],
)
async def test_headers_of_remote_write_1_are_taken(role: Role, headers: dict[str, str]) -> None:
    assert (await role.post(GOOD, headers))[0] == 204


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (HEADERS | {"Content-Type": "application/json"}, "content type not supported, expected application/x-proto"),
        (HEADERS | {"Content-Type": ""}, "content type not supported"),
        (HEADERS | {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, "proto=io.prom"),
        (HEADERS | {"Content-Type": "application/x-protobuf;proto="}, "content type not supported"),
        (HEADERS | {"Content-Type": "application/x-protobuf;proto=prometheus.writerequest"}, "message not supported"),
        (
            HEADERS | {"Content-Type": "application/x-protobuf;proto=prometheus.WriteRequest;proto=other"},
            "message not supported",
        ),
        (HEADERS | {"Content-Encoding": "zstd"}, "content encoding not supported, expected snappy"),
        (HEADERS | {"Content-Encoding": "gzip"}, "content encoding not supported, expected snappy"),
        (HEADERS | {"Content-Encoding": "br"}, "content encoding not supported, expected snappy"),
    ],
)
async def test_other_types_and_encodings_are_answered_415(role: Role, headers: dict[str, str], says: str) -> None:
    status, text = await role.post(GOOD, headers)
    assert status == 415
    assert re.search(says, text)


BAD_FRAME = encode_frame({"job": "secret-value"}, [(NOW_MS, 1.0)])
GOOD_FRAME = encode_frame({"__name__": "http_requests_total", "service": "a"}, [(NOW_MS, 1.0)])


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "body is not a snappy block"),
        (GOOD[:-3], 400, "body is not a snappy block"),
        (b"\xff\x06\x00\x00sNaPpY" + GOOD, 400, "snappy"),
        (compress(b"\x0a\x05a"), 400, "byte 0: field 1 is 4 bytes longer than what is left"),
        (compress(join_series([GOOD_FRAME, BAD_FRAME])), 400, "series 2: label __name__ is missing or empty"),
        (compress(bytes(20_001)), 413, "body declares 20001 decoded bytes, at most 20000 are taken"),
        (encode_varint(2_700_000_000) + bytes(40), 413, "declares 2700000000 decoded bytes"),
        (encode_varint(19_000) + bytes(40), 400, "more than snappy can hold"),
        (compress(b"\x0a\x00" * 101), 413, "more than 100 series in the request"),
        (body_of(series("up", **{f"l{n}": "x" for n in range(5)})), 413, "series 1: more than 5 labels"),
        (body_of(series("up", text="x" * 1_000)), 413, "series 1: labels are 10.. bytes long, at most 1000"),
        (bytes(MAX_BODY_BYTES + 1), 413, "body is 5001 bytes or longer, at most 5000 are taken"),
    ],
)
async def test_bad_bodies_are_refused_with_their_place_and_nothing_is_kept(
    role: Role, body: bytes, status: int, says: str
) -> None:
    answered, text = await role.post(body)
    assert answered == status
    assert re.search(says, text)
    assert "secret-value" not in text
    assert role.kafka.records() == []


async def test_a_body_of_undeclared_length_is_bounded_too(role: Role) -> None:
    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(1_000)

    async with role.client.post(PATH, data=pieces(20), headers=HEADERS) as answer:
        assert answer.status == 413

    async def good() -> AsyncIterator[bytes]:
        yield GOOD[:10]
        yield GOOD[10:]

    async with role.client.post(PATH, data=good(), headers=HEADERS) as answer:
        assert answer.status == 204


async def test_new_series_beyond_the_limit_are_told_and_known_ones_kept() -> None:
    async with running(max_series=1) as role:
        known = series("http_requests_total", service="a")
        assert (await role.post(body_of(known)))[0] == 204
        status, text = await role.post(body_of(known, series("http_requests_total", service="a", n="2")))
        assert (status, text.split(" ")[:4]) == (400, ["1", "new", "series", "refused:"])
        assert len(role.kafka.records()) == 2
        assert role.metric('driftline_ingest_samples_dropped_total{reason="series_limit"}') == 1


async def answer_503(role: Role) -> str:
    async with role.client.post(PATH, data=GOOD, headers=HEADERS) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        return (await answer.text()).strip()


async def test_503_while_kafka_is_away_and_204_after(role: Role) -> None:
    role.kafka.away = True
    assert await answer_503(role) == "Kafka does not acknowledge"
    assert role.kafka.records() == []
    role.kafka.away = False

    async def accepted() -> bool:
        return (await role.post(GOOD))[0] == 204

    await until(accepted)
    assert len(role.kafka.records()) == 1


async def test_503_while_this_process_is_not_ready(role: Role) -> None:
    role.problems.append("budgets are being read")
    assert await answer_503(role) == "budgets are being read"


async def test_503_while_too_much_waits() -> None:
    async with running(max_pending_bytes=len(GOOD) + 200) as role:
        role.kafka.away = True
        answers = await asyncio.gather(*(answer_503(role) for _ in range(8)))
        assert "too many bytes wait for Kafka" in answers


async def test_our_own_bug_is_500_without_a_word_about_it(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> Sorted:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("agents.ingest.sorting.Sorter.sort", break_down)
    assert await role.post(GOOD) == (500, "internal error\n")


async def test_other_methods_are_not_allowed(role: Role) -> None:
    async with role.client.get(PATH) as answer:
        assert answer.status == 405

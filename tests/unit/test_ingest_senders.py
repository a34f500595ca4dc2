"""Bodies of senders that no test starts: vmagent's were recorded, the others are built as their sources write them.

vmagent: `tests/recorded/README.md` says how. OpenTelemetry Collector (prometheusremotewrite exporter) and Grafana Alloy
(prometheus.remote_write) are built here from their public formats, not recorded.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.ingest.endpoint import PATH
from tests.unit.ingest_parts import NOW_MS, samples_of
from tests.unit.test_ingest_endpoint import Role, running
from tests.unit.write_request_2 import HEADERS as HEADERS_2
from tests.unit.write_request_2 import Request, Symbols, WriteRequest, compress

HEADERS_1 = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
NAME = "http_requests_total"
RECORDED = Path(__file__).resolve().parents[1] / "recorded"


@pytest.fixture
async def role() -> AsyncIterator[Role]:
    async with running() as started:
        yield started


def labels_of(**labels: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(labels.items())]


def collector_1() -> Any:
    """The collector's 1.0: all points of a series in one TimeSeries, exemplars beside them, and target_info."""
    request = WriteRequest()
    request.timeseries.add(
        labels=labels_of(__name__=NAME, service="a", job="shop/cart", instance="627cc493"),
        samples=[{"value": 1.0, "timestamp": NOW_MS}, {"value": 2.0, "timestamp": NOW_MS + 10_000}],
        exemplars=[{"labels": labels_of(trace_id="4bf92f3577b34da6"), "value": 0.3, "timestamp": NOW_MS}],
    )
    request.timeseries.add(
        labels=labels_of(__name__="target_info", job="shop/cart", instance="627cc493"),
        samples=[{"value": 1.0, "timestamp": NOW_MS + 10_000}],
    )
    return request


def collector_2() -> Any:
    """The collector's 2.0: start timestamps in the samples, metadata with each series."""
    symbols, request = Symbols(), Request()
    request.timeseries.add(
        labels_refs=symbols.labels({"__name__": NAME, "service": "a", "job": "shop/cart"}),
        samples=[
            {"value": 1.0, "timestamp": NOW_MS, "start_timestamp": NOW_MS - 60_000},
            {"value": 2.0, "timestamp": NOW_MS + 10_000, "start_timestamp": NOW_MS - 60_000},
        ],
        metadata={"type": 1, "help_ref": symbols.refer("Requests."), "unit_ref": symbols.refer("")},
    )
    request.symbols.extend(symbols.numbers)
    return request


def alloy() -> Any:
    """Alloy sends with Prometheus' own queue: one sample a series, external labels, the latest value first or last."""
    request = WriteRequest()
    for number in (1, 2):
        request.timeseries.add(
            labels=labels_of(__name__=NAME, service="a", alloy_hostname="node-1"),
            samples=[{"value": float(number), "timestamp": NOW_MS + 10_000 * (number - 1)}],
        )
    return request


@pytest.mark.parametrize(
    ("build", "headers"),
    [
        (collector_1, HEADERS_1 | {"User-Agent": "opentelemetry-collector/0.139.0"}),
        (collector_2, HEADERS_2 | {"User-Agent": "opentelemetry-collector/0.139.0"}),
        (alloy, HEADERS_1 | {"User-Agent": "Alloy/v1.11.3 (linux; docker)"}),
    ],
)
async def test_bodies_built_as_senders_write_them_are_taken(role: Role, build: Any, headers: dict[str, str]) -> None:
    body = compress(build())
    for _ in range(2):
        async with role.client.post(PATH, data=body, headers=headers) as answer:
            assert (answer.status, await answer.text()) == (204, "")
    for _, value in role.kafka.records():
        found = samples_of(value)
        assert {labels["__name__"] for labels, *_ in found} == {NAME}
        assert [(at_ms, number) for _, at_ms, number in found] == [(NOW_MS, 1.0), (NOW_MS + 10_000, 2.0)]


async def test_what_vmagent_sent_is_answered_as_when_it_was_recorded(role: Role) -> None:
    own = {"User-Agent": "vmagent", "Content-Type": "application/x-protobuf"}
    first = own | {"Content-Encoding": "zstd", "X-VictoriaMetrics-Remote-Write-Version": "1"}
    then = own | {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    for name, headers, status in (("zstd", first, 415), ("snappy", then, 204), ("snappy", then, 204)):
        async with role.client.post(
            PATH, data=(RECORDED / f"vmagent-{name}.bin").read_bytes(), headers=headers
        ) as answer:
            assert answer.status == status
    for _, value in role.kafka.records():
        found = {(labels["__name__"], labels["code"], number) for labels, _, number in samples_of(value)}
        assert found == {(NAME, "200", 5.0), (NAME, "500", 0.0)}
    assert len(role.kafka.records()) == 2

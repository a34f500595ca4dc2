"""A real Prometheus that writes 2.0: every sample and every native histogram that it scraped is in the log."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from agents.kafka.topics import SAMPLES
from agents.settings import Settings
from agents.stack import free_port
from streams.wire.histogram import CUSTOM_BUCKETS, is_float
from streams.wire.limits import DEFAULT_LIMITS
from streams.wire.request import split_series
from streams.wire.samples import FrameReader, read_tails
from tests.faults.stored import read_topic
from tests.integration.test_senders import PARTITIONS, query, running_exporter, stored_samples
from tests.servers.embedded import EmbeddedBroker
from tests.servers.ingest import declare, run_ingest
from tests.servers.prometheus import Prometheus
from tests.servers.waiting import until
from tests.unit.ingest_parts import budget_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# Prometheus scrapes itself twice: with its exponential histograms, and with the classic ones, which become custom ones.
CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, scrape_native_histograms: true}}
scrape_configs:
  - job_name: auth-service
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
  - job_name: exponential
    static_configs: [{{targets: ["{own}"]}}]
  - job_name: custom
    scrape_protocols: [PrometheusText0.0.4]
    convert_classic_histograms_to_nhcb: true
    static_configs: [{{targets: ["{own}"]}}]
remote_write:
  - url: {write_url}
    protobuf_message: io.prometheus.write.v2.Request
    send_native_histograms: true
    send_exemplars: true
    queue_config: {{batch_send_deadline: 500ms, max_samples_per_send: 100}}
"""
HISTOGRAM = "prometheus_http_request_duration_seconds"
Observed = dict[tuple[str, str], set[tuple[int, float, float]]]


def name_of(labels: dict[str, str]) -> tuple[str, str]:
    return labels["job"], labels["handler"]


async def scraped_histograms(url: str) -> Observed:
    """(time, count, sum) of every histogram that Prometheus has."""
    found: Observed = defaultdict(set)
    for series in await query(url, f"{HISTOGRAM}[10m]"):
        for at, histogram in series.get("histograms", []):
            found[name_of(series["metric"])].add((round(at * 1000), float(histogram["count"]), float(histogram["sum"])))
    return found


async def stored_histograms(settings: Settings) -> tuple[Observed, set[int]]:
    """The same from the log, and which schemas there were."""
    found: Observed = defaultdict(set)
    schemas: set[int] = set()
    for number in range(PARTITIONS):
        for record in await read_topic(settings, SAMPLES.name, number):
            frames = split_series(record.value or b"")
            reader = FrameReader(read_tails(frames), DEFAULT_LIMITS)
            for index in range(len(frames)):
                frame = reader.read(frames, index)
                for one in frame.native:
                    count = one.count_float if is_float(one) else float(one.count_int)
                    found[name_of(dict(frame.labels))].add((one.timestamp, count, one.sum))
                    schemas.add(one.schema)
    return found, schemas


async def metric_of(url: str, name: str) -> float:
    results: list[dict[str, Any]] = await query(url, f"sum({name})")
    return float(results[0]["value"][1]) if results else 0.0


async def test_every_sample_and_histogram_that_prometheus_scraped_is_in_the_log(
    embedded_broker: EmbeddedBroker, start_prometheus: Callable[..., Prometheus]
) -> None:
    settings = await declare(embedded_broker.kafka, [budget_of("a", f"sum({HISTOGRAM})", "sum(http_requests_total)")])
    exporter, own = free_port(), f"127.0.0.1:{free_port()}"
    with run_ingest(embedded_broker.kafka) as ingest:
        async with running_exporter(exporter):
            prometheus = start_prometheus(
                CONFIG.format(exporter=exporter, own=own, write_url=ingest.write_url), f"--web.listen-address={own}"
            )

            async def has_scraped() -> bool:
                counts = await query(prometheus.url, "count_over_time(http_requests_total[10m])")
                return bool(counts) and all(int(series["value"][1]) >= 20 for series in counts)

            await until(has_scraped, 60, "twenty scrapes")
        samples = {
            tuple(series["metric"][name] for name in ("__name__", "pod", "code")): {
                (round(at * 1000), float(value)) for at, value in series["values"]
            }
            for series in await query(prometheus.url, "http_requests_total[10m]")
        }
        scraped = await scraped_histograms(prometheus.url)
        assert {job for job, _ in scraped} == {"exponential", "custom"}
        assert sum(map(len, samples.values())) >= 20 * len(samples) > 20

        async def is_complete() -> bool:
            stored = await stored_samples(settings)
            histograms, schemas = await stored_histograms(settings)
            complete = all(some <= histograms[name] for name, some in scraped.items())
            ended = all(any(value != value for _, value in stored[name]) for name in samples)  # noqa: PLR0124  NaN
            both = CUSTOM_BUCKETS in schemas and any(schema >= 0 for schema in schemas)
            return ended and complete and both and all(some <= stored[name] for name, some in samples.items())

        await until(is_complete, 60, "everything scraped is stored")
        for kind in ("samples", "histograms", "exemplars"):
            assert await metric_of(prometheus.url, f"prometheus_remote_storage_{kind}_failed_total") == 0
        assert await metric_of(prometheus.url, "prometheus_remote_storage_histograms_total") > 0
        assert "Traceback" not in ingest.log_text()

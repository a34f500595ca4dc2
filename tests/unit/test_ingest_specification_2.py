"""What the specification of remote write 2.0 says about start timestamps, partial writes and counts, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.ingest.endpoint import PATH, WRITTEN
from tests.servers.waiting import until
from tests.unit.ingest_parts import NOW_MS, samples_of
from tests.unit.test_ingest_endpoint import Role, running
from tests.unit.test_ingest_endpoint_2 import HISTOGRAM, NEEDED, NOTHING, SAMPLE, Building, post
from tests.unit.write_request_2 import HEADERS

START_MS = NOW_MS - 60_000
EXEMPLAR = {"value": 1.0, "timestamp": NOW_MS}
OTHER = NEEDED | {"n": "2"}


@pytest.fixture
async def role() -> AsyncIterator[Role]:
    async with running() as started:
        yield started


@pytest.mark.parametrize(
    ("in_sample", "in_series"),
    [
        ({"start_timestamp": START_MS}, {}),
        ({}, {"created_timestamp": START_MS}),
        ({"start_timestamp": START_MS}, {"created_timestamp": START_MS}),
        ({"start_timestamp": NOW_MS + 9}, {}),
        ({"start_timestamp": -1}, {"created_timestamp": -1}),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"exemplars": [EXEMPLAR]}, {"metadata": {"type": 1, "help_ref": 1}}])
async def test_a_start_timestamp_changes_neither_what_is_written_nor_what_is_counted(
    role: Role, in_sample: dict[str, int], in_series: dict[str, int], beside: dict[str, Any]
) -> None:
    for started, created in (({}, {}), (in_sample, in_series)):
        building = Building()
        building.add(NEEDED, samples=[SAMPLE | started], **created, **beside)
        building.add(OTHER, histograms=[HISTOGRAM | started], **created, **beside)
        exemplars = str(2 * len(beside.get("exemplars", [])))
        assert await post(role, building.body()) == (204, "", ("1", "1", exemplars))
    (_, plain), (_, started_too) = role.kafka.records()
    assert plain == started_too
    assert [(labels, at_ms) for labels, at_ms, _ in samples_of(plain)] == [(NEEDED, NOW_MS)]


async def test_nothing_of_a_series_at_fault_is_counted_and_all_of_the_others_is(role: Role) -> None:
    full: dict[str, Any] = {"samples": [SAMPLE, SAMPLE | {"timestamp": NOW_MS + 1}], "exemplars": [EXEMPLAR] * 3}
    building = Building().add(NEEDED, **full)
    building.add({"job": "nameless"}, **full)
    building.add(OTHER, histograms=[HISTOGRAM, HISTOGRAM | {"timestamp": NOW_MS + 5}], exemplars=[EXEMPLAR])
    building.add(OTHER, histograms=[HISTOGRAM, HISTOGRAM | {"count_int": 1}], exemplars=[EXEMPLAR])
    building.add_broken([1, 99], **full)
    status, text, counts = await post(role, building.body())
    assert (status, counts) == (400, ("2", "2", "4"))
    assert text.startswith("3 of 5 series at fault, others are kept; series 2: label __name__ is missing")
    assert role.metric("driftline_ingest_exemplars_dropped_total") == 4
    assert role.metric("driftline_ingest_samples_total") == 4


async def test_a_series_with_nothing_but_an_exemplar_is_taken(role: Role) -> None:
    body = Building().add(NEEDED, exemplars=[EXEMPLAR]).add(OTHER, samples=[SAMPLE]).body()
    for _ in range(2):
        assert await post(role, body) == (204, "", ("1", "0", "1"))
    assert role.metric("driftline_ingest_samples_total") == 2


async def test_one_request_of_two_series_with_the_same_labels_is_two_series(role: Role) -> None:
    later = SAMPLE | {"timestamp": NOW_MS + 1}
    body = Building().add(NEEDED, samples=[later]).add(NEEDED, samples=[SAMPLE]).body()
    assert await post(role, body) == (204, "", ("2", "0", "0"))
    ((_, value),) = role.kafka.records()
    assert [at_ms for _, at_ms, _ in samples_of(value)] == [NOW_MS + 1, NOW_MS]


@pytest.mark.parametrize(
    "changed", [{"Content-Encoding": "zstd"}, {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3"}]
)
async def test_what_is_not_supported_is_answered_415_so_that_the_sender_tries_another(
    role: Role, changed: dict[str, str]
) -> None:
    status, _, counts = await post(role, Building().add(NEEDED, samples=[SAMPLE]).body(), HEADERS | changed)
    assert (status, counts) == (415, (None, None, None))


async def test_a_sender_that_writes_again_after_a_failure_gets_the_same_counts(role: Role) -> None:
    body = Building().add(NEEDED, samples=[SAMPLE]).add(OTHER, histograms=[HISTOGRAM]).body()
    role.kafka.away = True
    async with role.client.post(PATH, data=body, headers=HEADERS) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert answer.headers[WRITTEN.format("Samples")] == NOTHING[0]
    role.kafka.away = False

    async def is_taken() -> bool:
        return await post(role, body) == (204, "", ("1", "1", "0"))

    await until(is_taken, 30, "ingest has connected again")

"""Who is elected, as a timeline of claims; and that ingests which have read the same log agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.ingest.elections import Elections, Replica, Standing
from agents.ingest.opening import Message
from agents.ingest.routes import Routes
from streams.wire.encode import encode_write_request
from streams.wire.request import compress
from tests.unit.ingest_parts import (
    NOW_MS,
    Series,
    body_of,
    budget_of,
    create_sorter,
    requests_total,
    routes_of,
    samples_of,
    series,
)
from tests.unit.write_request_2 import compress as compress_2
from tests.unit.write_request_2 import message_of

TIMEOUT_MS = 20_000
A, B = Replica("eu", "a"), Replica("eu", "b")


class Ingest:
    """One ingest's view, with a clock that is set; its log's time is 1,000,000 ms ahead."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.elections = Elections(TIMEOUT_MS, lambda: self.now_ms)

    def claim(self, replica: Replica) -> bool:
        at_ms = round(self.now_ms) + 1_000_000
        changed = self.elections.observe(replica, at_ms)
        self.elections.set_clock(at_ms, self.now_ms)
        return changed


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


def test_the_first_claim_elects(ingest: Ingest) -> None:
    assert ingest.elections.standing(A) is Standing.UNSETTLED
    assert not ingest.claim(A)
    assert ingest.elections.standing(A) is Standing.ELECTED
    assert ingest.elections.standing(B) is Standing.STANDBY
    assert ingest.elections.standing(Replica("us", "b")) is Standing.UNSETTLED


def test_an_elected_replica_that_is_renewed_stays(ingest: Ingest) -> None:
    ingest.claim(A)
    for _ in range(20):
        ingest.now_ms += 3_000
        assert ingest.elections.is_due(A)
        assert ingest.elections.standing(A) is Standing.ELECTED
        assert ingest.elections.standing(B) is Standing.STANDBY
        ingest.claim(A)
        assert not ingest.elections.is_due(A)


def test_a_silent_replica_is_replaced_after_the_timeout_and_not_before(ingest: Ingest) -> None:
    ingest.claim(A)
    ingest.now_ms += TIMEOUT_MS - 1
    assert ingest.elections.standing(B) is Standing.STANDBY
    assert not ingest.claim(B)
    assert ingest.elections.is_elected(A)
    ingest.now_ms += 1
    assert ingest.elections.standing(B) is Standing.UNSETTLED
    assert ingest.claim(B)
    assert ingest.elections.standing(B) is Standing.ELECTED
    assert ingest.elections.standing(A) is Standing.STANDBY


def test_an_elected_replica_must_be_settled_again_long_before_another_may_come(ingest: Ingest) -> None:
    ingest.claim(A)
    ingest.now_ms += TIMEOUT_MS / 2
    assert ingest.elections.standing(A) is Standing.UNSETTLED
    ingest.claim(A)
    assert ingest.elections.standing(A) is Standing.ELECTED


def test_what_was_read_without_a_clock_decides_nothing(ingest: Ingest) -> None:
    ingest.elections.observe(A, 500)
    assert ingest.elections.standing(A) is ingest.elections.standing(B) is Standing.UNSETTLED


def test_time_that_goes_back_delays_a_change_by_no_more_than_the_timeout(ingest: Ingest) -> None:
    elections = ingest.elections
    elections.observe(A, 5_000_000)
    assert not elections.observe(B, 1_000)
    assert not elections.observe(B, 1_000 + TIMEOUT_MS - 1)
    assert elections.observe(B, 1_000 + TIMEOUT_MS)


def test_silent_clusters_are_forgotten(ingest: Ingest) -> None:
    ingest.claim(A)
    ingest.now_ms += 2 * TIMEOUT_MS
    ingest.claim(Replica("us", "a"))
    ingest.elections.expire()
    assert ingest.elections.clusters == 1


def test_a_renewal_is_granted_always(ingest: Ingest) -> None:
    ingest.claim(A)
    assert ingest.elections.observe(B, 1_000_001, renews=True)
    assert ingest.elections.is_elected(B)


CLAIMS = st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 30_000), st.booleans()), max_size=20)


@given(CLAIMS, CLAIMS, CLAIMS, st.sampled_from([A, B]))
def test_whatever_was_read_before_a_renewal_those_who_read_on_agree(
    one: list[tuple[Replica, int, bool]],
    other: list[tuple[Replica, int, bool]],
    common: list[tuple[Replica, int, bool]],
    renewed: Replica,
) -> None:
    ingests = [Ingest().elections, Ingest().elections]
    at_ms = 10_000_000
    for elections, claims in zip(ingests, (one, other), strict=True):
        for number, (replica, _, renews) in enumerate(claims):
            elections.observe(replica, at_ms - 30_000 * (len(claims) - number), renews=renews)
    for replica, pause_ms, renews in [(renewed, 0, True), *common]:
        at_ms += pause_ms
        for elections in ingests:
            elections.observe(replica, at_ms, renews=renews)
        assert [elections.is_elected(A) for elections in ingests] in ([True, True], [False, False])


# Sorting


@pytest.fixture
def routes() -> Routes:
    return routes_of(budget_of("a", requests_total("a")))


def of_replica(name: str, sample: tuple[int, float] = (NOW_MS, 1.0), /, **labels: str) -> Series:
    return series("http_requests_total", sample, service="a", cluster="eu", __replica__=name, **labels)


WITHOUT = {"__name__": "http_requests_total", "service": "a", "cluster": "eu"}


def test_the_elected_replica_is_passed_on_without_its_label_and_the_other_is_not(
    routes: Routes, ingest: Ingest
) -> None:
    sorter = create_sorter(routes, elections=ingest.elections)
    assert sorter.sort(body_of(of_replica("a"))).unsettled == {A}
    ingest.claim(A)
    for _ in range(2):
        result = sorter.sort(body_of(of_replica("a"), series("http_requests_total", service="a"), of_replica("b")))
        ((_, value),) = result.parts
        assert [labels for labels, *_ in samples_of(value)] == [
            WITHOUT,
            {"__name__": "http_requests_total", "service": "a"},
        ]
        assert (result.samples, result.standby, result.unneeded) == (2, 1, 0)
        assert (result.written.samples, result.elected, result.unsettled) == (3, {A}, set())


def test_both_replicas_write_one_and_the_same_series(routes: Routes, ingest: Ingest) -> None:
    sorter = create_sorter(routes, elections=ingest.elections)
    ingest.claim(A)
    ((_, from_a),) = sorter.sort(body_of(of_replica("a"))).parts
    ingest.now_ms += TIMEOUT_MS
    ingest.claim(B)
    ((_, from_b),) = sorter.sort(body_of(of_replica("b"))).parts
    assert from_a == from_b


def test_frames_of_any_shape_and_either_version_lose_the_label(routes: Routes, ingest: Ingest) -> None:
    sorter = create_sorter(routes, elections=ingest.elections)
    ingest.claim(A)
    labels = {**WITHOUT, "__replica__": "a"}
    samples = [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]
    one = sorter.sort(compress(encode_write_request([(labels, samples)])))
    assert [part[0] for part in samples_of(one.parts[0][1])] == [WITHOUT, WITHOUT]
    for series_of in ([(labels, samples)], [(labels, samples[:1])]):
        two = sorter.sort(compress_2(message_of(series_of)), Message.VERSION_2)
        assert {tuple(found[0]) for found in samples_of(two.parts[0][1])} == {tuple(sorted(WITHOUT))}


def test_series_with_one_of_the_labels_or_that_nobody_needs_ask_for_no_election(routes: Routes, ingest: Ingest) -> None:
    sorter = create_sorter(routes, elections=ingest.elections)
    result = sorter.sort(
        body_of(
            series("http_requests_total", service="a", cluster="eu"),
            series("http_requests_total", service="a", __replica__="a"),
            series("up", cluster="eu", __replica__="a"),
        )
    )
    assert (result.unsettled, result.samples, result.unneeded) == (set(), 2, 1)


def test_what_was_settled_is_taken_or_passed_over(routes: Routes, ingest: Ingest) -> None:
    sorter = create_sorter(routes, elections=ingest.elections)
    ingest.elections.observe(A, 0)  # no clock yet
    body = body_of(of_replica("a"), of_replica("b"))
    assert sorter.sort(body).unsettled == {A, B}
    result = sorter.sort(body, settled=True)
    assert (result.samples, result.standby, result.unsettled) == (1, 1, set())

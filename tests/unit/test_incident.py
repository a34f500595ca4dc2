"""Which alerts belong together."""

import msgspec
import numpy as np

from budgets.change import Change
from budgets.event import Mention, format_time
from budgets.incident import ACROSS_MS, MOST_SERVICES, TOGETHER_MS, Incidents, SavedIncidents

STEP_MS = 15_000
DAY_MS = 86_400_000
START_MS = 1_800_000_000_000


def watching(services: int = 10) -> Incidents:
    incidents = Incidents(STEP_MS)
    for service in ("api", "web", *(f"service-{number}" for number in range(services - 2))):
        incidents.watch(service)
    return incidents


def join(incidents: Incidents, service: str, onset: int, *, weighty: bool = True) -> str:
    return incidents.join(service, onset, onset + 60_000, weighty=weighty)


def deployed(service: str, version: str, at: int) -> Change:
    return Change(service, version, format_time(at), "test", at)


def test_alerts_of_a_service_with_onsets_close_together_are_one_incident() -> None:
    incidents = watching()
    first = join(incidents, "api", START_MS)
    assert join(incidents, "api", START_MS + TOGETHER_MS) == first
    assert join(incidents, "api", START_MS - 60_000) == first
    assert join(incidents, "api", START_MS + 2 * TOGETHER_MS) == first
    assert join(incidents, "api", START_MS + 3 * TOGETHER_MS + 1) != first


def test_the_onset_counts_not_the_moment_of_the_alarm() -> None:
    incidents = watching()
    first = incidents.join("api", START_MS, START_MS + 60_000)
    assert incidents.join("api", START_MS + 30_000, START_MS + 5 * TOGETHER_MS) == first
    assert incidents.join("api", START_MS + 5 * TOGETHER_MS, START_MS + 5 * TOGETHER_MS) != first


def test_an_incident_is_over_when_its_last_alert_ends() -> None:
    incidents = watching()
    first = join(incidents, "api", START_MS)
    join(incidents, "api", START_MS + 1_000)
    incidents.leave(first)
    assert join(incidents, "api", START_MS + 2_000) == first
    incidents.leave(first)
    incidents.leave(first)
    incidents.leave(first)
    assert join(incidents, "api", START_MS + 3_000) != first


def test_the_end_of_an_older_incident_does_not_end_the_newest() -> None:
    incidents = watching()
    old = join(incidents, "api", START_MS)
    new = join(incidents, "api", START_MS + 2 * TOGETHER_MS)
    incidents.leave(old)
    assert join(incidents, "api", START_MS + 2 * TOGETHER_MS + 1) == new


def test_the_same_onset_has_the_same_id_wherever_it_is_judged() -> None:
    assert join(watching(), "api", START_MS) == join(watching(3), "api", START_MS)


def test_services_that_begin_within_a_minute_are_one_incident_where_few_are_watched() -> None:
    incidents = watching(10)
    assert join(incidents, "api", START_MS) == join(incidents, "web", START_MS + 60_000)


def test_services_that_begin_half_an_hour_apart_have_incidents_of_their_own() -> None:
    incidents = watching(2)
    assert join(incidents, "api", START_MS) != join(incidents, "web", START_MS + ACROSS_MS + 1)


def test_among_a_thousand_services_two_in_a_minute_are_chance_and_four_are_not() -> None:
    incidents = watching(1_000)
    names = [join(incidents, f"service-{number}", START_MS + number * 20_000) for number in range(4)]
    assert names[0] != names[1]
    assert names[3] == names[0]


def test_independent_services_are_merged_in_one_of_a_hundred_new_incidents_at_most() -> None:
    random = np.random.default_rng(5)
    count, merged = 10_000, 0
    incidents = watching(40)
    onsets = np.sort(random.uniform(0, count / 40 * 30 * DAY_MS, count)).astype(int) + START_MS
    ends: list[tuple[int, str]] = []
    for onset, number in zip(onsets.tolist(), random.integers(0, 38, count).tolist(), strict=True):
        while ends and ends[0][0] <= onset:
            incidents.leave(ends.pop(0)[1])
        own = {name for name, incident in incidents.open.items() if f"service-{number}" in incident.weighty}
        name = incidents.join(f"service-{number}", onset, onset)
        merged += len(incidents.open[name].weighty) > 1 and name not in own
        ends.append((onset + 1_800_000, name))
    assert 0 < merged <= 0.01 * count


def test_a_service_that_alarms_all_day_proves_nothing_by_alarming_now() -> None:
    incidents = watching(10)
    for hour in range(0, 48, 1):
        incidents.leave(join(incidents, "api", START_MS + hour * 3_600_000))
    flapping = join(incidents, "api", START_MS + 2 * DAY_MS)
    assert join(incidents, "web", START_MS + 2 * DAY_MS) != flapping
    assert join(incidents, "service-1", START_MS + 2 * DAY_MS + 1_000) != flapping


def test_services_that_changed_to_one_version_need_less_to_be_one_incident() -> None:
    def two(*changes: Change) -> bool:
        incidents = watching(300)
        for change in changes:
            incidents.changes.note(change)
        incidents.changes.advance(START_MS)
        return join(incidents, "api", START_MS) == join(incidents, "web", START_MS + 120_000)

    release = START_MS - 180_000
    assert not two()
    assert not two(deployed("api", "1.9", release), deployed("web", "2.0", release))
    assert two(deployed("api", "2.0", release), deployed("web", "2.0", release + 10_000))


def test_an_anomaly_joins_its_service_and_merges_nothing() -> None:
    incidents = watching(10)
    anomaly = join(incidents, "api", START_MS, weighty=False)
    assert join(incidents, "web", START_MS, weighty=False) != anomaly
    assert join(incidents, "service-1", START_MS) != anomaly


def test_what_is_wrong_after_an_anomaly_is_its_incident() -> None:
    incidents = watching(10)
    anomaly = join(incidents, "api", START_MS, weighty=False)
    assert join(incidents, "api", START_MS + 30_000) == anomaly
    assert join(incidents, "web", START_MS + 30_000) == anomaly


def test_an_anomaly_of_its_own_does_not_keep_a_service_out_of_what_happens_everywhere() -> None:
    incidents = watching(10)
    first = join(incidents, "api", START_MS)
    assert join(incidents, "web", START_MS, weighty=False) != first
    assert join(incidents, "web", START_MS + 15_000) == first
    assert join(incidents, "web", START_MS + 90_000) == first


def test_an_incident_leads_with_its_earliest_onset_and_its_largest_effect() -> None:
    incidents = watching()
    name = join(incidents, "api", START_MS)
    assert incidents.lead_of(name) is None
    for fingerprint, onset, change in (("a", 60_000, 0.2), ("b", 0, 0.1), ("c", 90_000, 3.0), ("d", 30_000, 1.0)):
        at = START_MS + onset
        incidents.mention(name, Mention("api", "latency", fingerprint, format_time(at), change), at, change)
    lead = incidents.lead_of(name)
    assert lead is not None
    assert (lead.earliest.fingerprint, lead.services) == ("b", ("api",))
    assert lead.largest is not None
    assert lead.largest.fingerprint == "c"


def test_an_effect_that_nobody_knows_is_not_the_largest() -> None:
    incidents = watching()
    name = join(incidents, "api", START_MS)
    incidents.mention(name, Mention("api", "latency", "a", format_time(START_MS), None), START_MS, None)
    lead = incidents.lead_of(name)
    assert lead is not None
    assert lead.largest is None


def test_a_service_that_is_no_longer_watched_is_forgotten() -> None:
    incidents = watching()
    name = join(incidents, "api", START_MS)
    incidents.forget("api")
    incidents.leave(name)
    incidents.prune(START_MS + DAY_MS)
    assert incidents.snapshot() == Incidents(STEP_MS).snapshot()


def test_what_is_remembered_is_bounded_by_what_is_open() -> None:
    incidents = watching(10_000)
    for round_number in range(3):
        names = [
            incidents.join(f"service-{number}", START_MS + round_number * DAY_MS, START_MS + round_number * DAY_MS)
            for number in range(9_998)
        ]
        for name in names:
            incidents.leave(name)
    saved = incidents.snapshot()
    assert (saved.open, saved.recent) == ([], [])
    assert len(msgspec.msgpack.encode(saved)) < 10_000 * 80
    incidents.prune(START_MS + 400 * DAY_MS)
    assert len(msgspec.msgpack.encode(incidents.snapshot())) < 20


def test_an_incident_names_sixteen_services_and_takes_any_number() -> None:
    incidents = watching(40)
    names = {join(incidents, f"service-{number}", START_MS) for number in range(30)}
    assert len(names) == 1
    (incident,) = incidents.open.values()
    assert (len(incident.weighty), incident.open_alerts) == (MOST_SERVICES, 30)


def test_a_restored_copy_decides_as_the_original() -> None:
    original = watching(200)
    stories = [(f"service-{number * 7 % 40}", START_MS + number * 31_000, number % 5 != 0) for number in range(120)]
    for service, onset, weighty in stories[:60]:
        name = join(original, service, onset, weighty=weighty)
        original.mention(name, Mention(service, "latency", service, format_time(onset), 0.3), onset, 0.3)
    copy = watching(200)
    copy.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(original.snapshot()), type=SavedIncidents))
    for service in ("api", "web", *(f"service-{number}" for number in range(198))):
        copy.watch(service)
    for service, onset, weighty in stories[60:]:
        assert join(copy, service, onset, weighty=weighty) == join(original, service, onset, weighty=weighty)
    assert copy.snapshot() == original.snapshot()

"""Which alerts belong together."""

from budgets.incident import TOGETHER_MS, Incidents


def test_alerts_that_begin_close_together_are_one_incident() -> None:
    incidents = Incidents()
    first = incidents.join("api", 0)
    assert incidents.join("api", 60_000) == first
    assert incidents.join("api", 60_000 + TOGETHER_MS) == first
    assert incidents.join("api", 60_001 + 2 * TOGETHER_MS) != first


def test_services_have_incidents_of_their_own() -> None:
    incidents = Incidents()
    assert incidents.join("api", 0) != incidents.join("web", 0)


def test_an_incident_is_over_when_its_last_alert_ends() -> None:
    incidents = Incidents()
    first = incidents.join("api", 0)
    incidents.join("api", 1_000)
    incidents.leave("api", first)
    assert incidents.join("api", 2_000) == first
    incidents.leave("api", first)
    incidents.leave("api", first)
    assert incidents.join("api", 3_000) != first


def test_the_end_of_an_older_incident_does_not_end_the_newest() -> None:
    incidents = Incidents()
    old = incidents.join("api", 0)
    new = incidents.join("api", 2 * TOGETHER_MS)
    incidents.leave("api", old)
    assert incidents.join("api", 2 * TOGETHER_MS + 1) == new


def test_the_same_onset_has_the_same_id_wherever_it_is_judged() -> None:
    assert Incidents().join("api", 5) == Incidents().join("api", 5)


def test_a_service_that_is_no_longer_watched_is_forgotten() -> None:
    incidents = Incidents()
    incidents.join("api", 0)
    incidents.forget("api")
    incidents.leave("api", "unknown")
    assert incidents.newest == {}

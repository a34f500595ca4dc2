"""The state machine of one alert, by itself: every state against everything that a step can see."""

import itertools
import typing

import pytest

from budgets.alert import RANK, TRANSITIONS, Alert, Seen, Timing, next_state, stop_clocks

TIMING = Timing(for_ms=30_000, keep_ms=60_000)
SEEN: tuple[Seen, ...] = typing.get_args(Seen)


def run(*steps: tuple[int, Seen], timing: Timing = TIMING) -> list[tuple[int, str, str]]:
    """(seconds, transition, severity) of everything that is published for a row of (seconds, seen)."""
    alert: Alert | None = None
    said: list[tuple[int, str, str]] = []
    for seconds, seen in steps:
        before = alert
        alert, transition = next_state(alert, seen, seconds * 1000, timing)
        shown = alert or before
        if transition is not None:
            assert shown is not None
            said.append((seconds, transition, shown.severity))
    return said


def test_the_table_answers_everything() -> None:
    words = {"worse", *SEEN} - set(RANK)
    assert set(TRANSITIONS) == {"pending", "firing", "stale"}
    assert all(set(row) == words for row in TRANSITIONS.values())


def test_a_condition_that_holds_long_enough_fires() -> None:
    assert run((0, "warning"), (15, "warning"), (30, "warning")) == [
        (0, "pending", "warning"),
        (30, "firing", "warning"),
    ]


def test_a_condition_that_breaks_off_while_pending_ends_without_firing() -> None:
    assert run((0, "warning"), (15, "between"), (30, "warning"), (45, "warning")) == [
        (0, "pending", "warning"),
        (15, "resolved", "warning"),
        (30, "pending", "warning"),
    ]


def test_without_a_waiting_time_it_fires_at_once() -> None:
    assert run((0, "critical"), timing=Timing(0, 60_000)) == [(0, "firing", "critical")]


def test_each_severity_waits_by_itself() -> None:
    assert run((0, "warning"), (15, "critical"), (30, "critical"), (45, "critical")) == [
        (0, "pending", "warning"),
        (30, "firing", "warning"),
        (45, "escalated", "critical"),
    ]


def test_one_critical_step_does_not_escalate() -> None:
    assert run((0, "warning"), (30, "warning"), (45, "critical"), (60, "warning"), (90, "warning")) == [
        (0, "pending", "warning"),
        (30, "firing", "warning"),
    ]


def test_a_milder_condition_deescalates_only_when_it_lasts() -> None:
    assert run((0, "critical"), (30, "critical"), (45, "warning"), (90, "warning"), (105, "between")) == [
        (0, "pending", "critical"),
        (30, "firing", "critical"),
        (105, "deescalated", "warning"),
    ]


def test_recovery_resolves_when_it_lasts_and_starts_again_after_a_relapse() -> None:
    steps: list[tuple[int, Seen]] = [
        (0, "critical"),
        (30, "critical"),
        (45, "recovered"),
        (60, "warning"),
        (75, "recovered"),
        (105, "recovered"),
        (135, "recovered"),
    ]
    assert run(*steps) == [(0, "pending", "critical"), (30, "firing", "critical"), (135, "resolved", "critical")]


def test_missing_data_makes_it_stale_and_never_resolves_it() -> None:
    assert run(
        (0, "warning"), (30, "warning"), (45, "no_data"), (900, "no_data"), (915, "recovered"), (975, "recovered")
    ) == [
        (0, "pending", "warning"),
        (30, "firing", "warning"),
        (45, "stale", "warning"),
        (915, "firing", "warning"),
        (975, "resolved", "warning"),
    ]


def test_a_pending_alert_waits_through_missing_data_and_counts_again_from_its_end() -> None:
    assert run(
        (0, "warning"), (15, "no_data"), (600, "no_data"), (615, "warning"), (630, "warning"), (645, "warning")
    ) == [
        (0, "pending", "warning"),
        (645, "firing", "warning"),
    ]


@pytest.mark.parametrize("seen", ["unjudged", "no_data"])
def test_what_says_nothing_begins_nothing_and_ends_nothing(seen: Seen) -> None:
    assert run((0, seen), (60, seen)) == []
    firing = Alert("firing", "warning", 0)
    pending = Alert("pending", "warning", 0, worse_since=0)
    for alert in (firing, pending):
        after, transition = next_state(alert, seen, 900_000, TIMING)
        assert after is not None
        assert transition in {None, "stale"}
        assert after.calm_since is None
        assert after.worse_since is None


def test_too_little_traffic_keeps_an_alert_firing() -> None:
    assert run(
        (0, "warning"), (30, "warning"), (45, "recovered"), (90, "unjudged"), (120, "recovered"), (150, "recovered")
    ) == [
        (0, "pending", "warning"),
        (30, "firing", "warning"),
    ]


def test_data_that_comes_back_is_announced_whatever_it_says() -> None:
    for seen in sorted(set(SEEN) - {"no_data"}):
        alert, transition = next_state(Alert("stale", "critical", 0), seen, 60_000, TIMING)
        assert transition == "firing"
        assert alert is not None
        assert alert.status == "firing"
        assert alert.severity == "critical"


def test_the_order_of_transitions_is_always_one_that_a_subscriber_can_follow() -> None:
    follows = {
        "inactive": {"pending"},
        "pending": {"firing", "resolved"},
        "firing": {"escalated", "deescalated", "stale", "resolved"},
        "stale": {"firing"},
    }
    for words in itertools.product(SEEN, repeat=5):
        status = "inactive"
        steps = [(step * 60, word) for step, word in enumerate(words)]
        for _, transition, _ in run(*steps, timing=Timing(60_000, 60_000)):
            assert transition in follows[status], words
            status = {"resolved": "inactive", "escalated": "firing", "deescalated": "firing"}.get(
                transition, transition
            )


def test_stopped_clocks_remember_nothing() -> None:
    assert stop_clocks(Alert("firing", "warning", 5, "i", 1, 2, 3, 4)) == Alert("firing", "warning", 5, "i")

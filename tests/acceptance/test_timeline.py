"""The life of alerts, told as timelines: exact steps, no tolerance."""

from tests.acceptance.timeline import play, spec


def test_a_breach_fires_after_its_waiting_time_and_resolves_after_lasting_recovery() -> None:
    events = play(
        """
        0s      120
        2m      170     -> pending budget warning
        2m30s           -> firing budget warning
        4m      210
        4m30s           -> escalated budget critical
        6m      170
        7m              -> deescalated budget warning
        8m      120
        9m              -> resolved budget warning
        20m     120
        """
    )
    assert len({event.episode for event in events}) == 1
    assert len({event.id for event in events}) == len(events)
    assert len({event.incident for event in events}) == 1
    assert [event.ends_at is not None for event in events] == [False] * 4 + [True]
    assert [event.threshold for event in events] == [160.0, 160.0, 200.0, 160.0, 160.0]


def test_a_short_breach_is_pending_and_ends_without_firing() -> None:
    play(
        """
        0s      120
        2m      300     -> pending budget critical
        2m15s   120     -> resolved budget info
        9m      120
        """
    )


def test_a_value_on_the_limit_is_within() -> None:
    play("0s 160\n9m 160")


def test_the_second_breach_is_an_episode_of_its_own() -> None:
    events = play(
        """
        0s      120
        1m      170     -> pending budget warning
        1m30s           -> firing budget warning
        2m      120
        3m              -> resolved budget warning
        4m      170     -> pending budget warning
        4m30s           -> firing budget warning
        """
    )
    assert len({event.episode for event in events}) == 2
    assert len({event.fingerprint for event in events}) == 1


def test_recovery_needs_the_good_side_of_the_recovery_threshold() -> None:
    play(
        """
        0s      120
        1m      170     -> pending budget warning
        1m30s           -> firing budget warning
        3m      155
        13m     140
        14m             -> resolved budget warning
        """,
        spec(recovery=150.0),
    )


def test_missing_data_makes_a_firing_alert_stale_and_data_makes_it_fire_again() -> None:
    events = play(
        """
        0s      120
        1m      170     -> pending budget warning
        1m30s           -> firing budget warning
        3m      -       -> stale budget warning
        7m45s           -> firing no_data warning
        20m     120     -> firing budget warning
        21m             -> resolved budget warning; resolved no_data warning
        """
    )
    stale = events[2]
    assert stale.value is None
    assert stale.status == "stale"
    assert stale.annotations.summary.startswith("api latency has no data since 2026-09-21T14:16:15.000Z")


def test_an_indicator_that_had_data_alarms_when_it_is_gone_for_five_minutes() -> None:
    events = play(
        """
        0s      120
        1m      -
        5m45s           -> firing no_data warning
        9m      120
        10m             -> resolved no_data warning
        """
    )
    assert events[0].annotations.summary == "api latency has no data since 2026-09-21T14:14:15.000Z"


def test_data_that_comes_and_goes_does_not_resolve_the_alert_about_missing_data() -> None:
    play(
        """
        0s      120
        1m      -
        5m45s           -> firing no_data warning
        9m      120
        9m45s   -
        10m30s  120
        11m15s  120
        11m30s          -> resolved no_data warning
        """
    )


def test_a_longer_window_waits_longer_for_data() -> None:
    play(
        """
        0s      120
        15s     -
        15m             -> firing no_data warning
        """,
        spec(window_ms=900_000),
    )


def test_an_indicator_that_never_had_data_is_mentioned_once_and_quietly() -> None:
    events = play(
        """
        0s      -
        10m             -> firing no_data info
        60m     120
        61m             -> resolved no_data info
        """
    )
    assert "does its expression match any series?" in events[0].annotations.summary


def test_too_little_traffic_is_neither_alarm_nor_recovery() -> None:
    play(
        """
        0s      120 w 500
        1m      300 w 5
        3m      300 w 50    -> pending budget critical
        3m30s   300 w 50    -> firing budget critical
        5m      120 w 5
        9m      120 w 50
        10m                 -> resolved budget critical
        """,
        spec(min_traffic=20.0),
    )


def test_a_pending_alert_does_not_fire_across_a_hole() -> None:
    play(
        """
        0s      120
        1m      170     -> pending budget warning
        1m15s   -
        3m      170
        3m30s           -> firing budget warning
        """
    )


def test_lower_limits_are_passed_downwards() -> None:
    play(
        """
        0s      1200
        6m      850     -> pending budget warning
        6m30s           -> firing budget warning
        7m      1200
        8m              -> resolved budget warning
        """,
        spec(direction="below", limit=1000.0, warning=900.0, critical=800.0),
    )


def test_a_rate_is_not_judged_before_its_window_is_full() -> None:
    rate = spec(kind="throughput", direction="below", unit="1/s", limit=1000.0, warning=900.0, critical=800.0)
    play(
        """
        0s      100
        3m      700
        4m45s   1200
        20m     700     -> pending budget critical
        20m30s          -> firing budget critical
        21m     -       -> stale budget critical
        22m     100     -> firing budget critical
        25m     1200
        28m             -> resolved budget critical
        """,
        rate,
    )


def test_every_group_has_an_alert_of_its_own() -> None:
    events = play(
        """
        0s      a=120 b=120
        1m      a=170 b=120     -> pending budget warning a
        1m30s                   -> firing budget warning a
        2m      a=170 b=300     -> pending budget critical b
        2m30s                   -> firing budget critical b
        4m      b=300           -> stale budget warning a
        30m     b=300
        40m     a=120 b=120     -> firing budget warning a
        41m                     -> resolved budget warning a; resolved budget critical b
        """,
        spec(group_by=("route",)),
    )
    assert len({event.fingerprint for event in events}) == 2
    assert events[0].labels == {"route": "a", "service": "api"}
    assert events[0].annotations.summary.startswith('api latency{route="a"} is 170 ms')
    # They began a minute apart: one incident.
    assert len({event.incident for event in events}) == 1


def test_a_group_that_goes_away_is_no_alarm_but_all_of_them_together_are_one() -> None:
    play(
        """
        0s      a=120 b=120
        1m      b=120
        30m     -
        34m45s          -> firing no_data warning
        40m     a=120
        41m             -> resolved no_data warning
        """,
        spec(group_by=("route",)),
    )


def test_alerts_that_begin_hours_apart_are_different_incidents() -> None:
    events = play(
        """
        0s      a=120 b=120
        1m      a=170 b=120     -> pending budget warning a
        1m30s                   -> firing budget warning a
        3h      a=170 b=170     -> pending budget warning b; pending regression critical b
        3h30s                   -> firing budget warning b; firing regression critical b
        """,
        spec(group_by=("route",)),
    )
    assert events[1].incident not in {event.incident for event in events[2:]}


def test_a_value_in_the_baseline_of_an_hour_has_its_own_alert_when_it_jumps() -> None:
    events = play(
        """
        0s      100
        1h      130             -> pending regression critical
        1h30s                   -> firing regression critical
        2h      100
        2h1m                    -> resolved regression critical
        3h      100
        """
    )
    fired = events[1]
    assert fired.evidence.baseline == 100.0
    assert fired.evidence.change_ratio == 0.3
    assert fired.evidence.rung == "zscore"
    assert fired.evidence.methods == ("change_ratio", "zscore", "confidence_interval")
    assert fired.evidence.onset == events[0].at
    assert fired.threshold == 125.0
    assert fired.annotations.summary == (
        "api latency is 130 ms, 30 % above its baseline of 100 ms (95 % CI +27 % … +33 %)"
    )


def test_a_regression_that_breaks_its_budget_has_two_alerts_and_one_incident() -> None:
    events = play(
        """
        0s      125
        1h      225             -> pending budget critical; pending regression critical
        1h30s                   -> firing budget critical; firing regression critical
        2h      125
        2h1m                    -> resolved budget critical; resolved regression critical
        9h      125
        """
    )
    assert len({event.fingerprint for event in events}) == 2
    assert len({event.incident for event in events}) == 1


def test_getting_better_is_no_alarm_and_neither_is_the_way_back() -> None:
    play("0s 100\n1h 60\n4h 100\n9h 100")


def test_before_the_warm_up_a_change_is_shown_but_is_no_regression() -> None:
    events = play(
        """
        0s      100
        10m     170     -> pending budget warning
        10m30s          -> firing budget warning
        """
    )
    assert events[1].evidence.rung == "change"
    assert events[1].evidence.ci95 is None
    assert events[1].evidence.change_ratio is not None
    assert events[1].evidence.change_ratio > 0.6

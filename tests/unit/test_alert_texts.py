"""Numbers and sentences for people."""

import pytest

from budgets.annotations import Story, annotate
from budgets.event import AlertKind, Evidence, Transition
from budgets.quantity import format_change, format_duration, format_value
from tests.acceptance.timeline import spec

AUTH = spec(id="auth-service/response_time_p95", service="auth-service", name="response_time_p95")
EVIDENCE = Evidence(
    baseline=171.2,
    change_ratio=0.352,
    z=5.1,
    ci95=(0.29, 0.41),
    p_value=0.0004,
    trend_per_hour=4.2,
    methods=("change_ratio", "zscore"),
    rung="season",
)


def summary(
    kind: AlertKind, transition: Transition = "firing", *, value: float | None = 231.4, reason: str = ""
) -> str:
    story = Story(AUTH, {}, kind, transition, "critical", value, EVIDENCE, 0, 60_000, reason=reason)
    return annotate(story).summary


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (231.4, "ms", "231 ms"),
        (0.5, "ms", "0.5 ms"),
        (1350.2, "1/s", "1350/s"),
        (0.01, "ratio", "1 %"),
        (0.9981, "ratio", "99.8 %"),
        (0.0, "ratio", "0 %"),
        (1.5 * 2**30, "bytes", "1.5 GiB"),
        (100.0, "bytes", "100 B"),
        (12.0, "messages", "12 messages"),
        (12.0, "", "12"),
        (-3.25, "s", "-3.25 s"),
        (1e20, "ms", "1.00e+20 ms"),
    ],
)
def test_values_have_three_digits_and_their_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(("ratio", "text"), [(0.352, "+35 %"), (-0.1, "-10 %"), (0.0512, "+5.1 %"), (0.0, "+0 %")])
def test_changes_are_signed_percentages(ratio: float, text: str) -> None:
    assert format_change(ratio) == text


@pytest.mark.parametrize(("ms", "text"), [(45_000, "45s"), (5_400_000, "1h 30m"), (0, "0s"), (90_061_000, "1d 1h")])
def test_durations_have_two_units_at_most(ms: int, text: str) -> None:
    assert format_duration(ms) == text


@pytest.mark.parametrize(
    ("kind", "transition", "value", "text"),
    [
        ("budget", "firing", 231.4, "is 231 ms, limit 200 ms (critical above 200 ms)"),
        ("budget", "resolved", 120.0, "is 120 ms, limit 200 ms (critical above 200 ms), within its budget again"),
        (
            "budget",
            "stale",
            None,
            "has no data since 1970-01-01T00:01:00.000Z; its budget alert was firing and stays open",
        ),
        ("regression", "firing", 231.4, "is 231 ms, 35 % above its baseline of 171 ms (95 % CI +29 % … +41 %)"),
        ("regression", "resolved", 172.0, "is 172 ms, as usual again (+35 % to its baseline of 171 ms)"),
        (
            "trend",
            "firing",
            180.0,
            (
                "is 180 ms and has worsened steadily, by 4.2 ms an hour over the last four hours; "
                "at this rate it passes 200 ms in 4h 46m"
            ),
        ),
        ("trend", "resolved", 180.0, "is 180 ms and does not worsen any more"),
        ("no_data", "firing", None, "has no data since 1970-01-01T00:01:00.000Z"),
        ("no_data", "resolved", 180.0, "is 180 ms: data is back"),
    ],
)
def test_the_summary_is_one_plain_sentence(
    kind: AlertKind, transition: Transition, value: float | None, text: str
) -> None:
    assert summary(kind, transition, value=value) == f"auth-service response_time_p95 {text}"


def test_a_mean_is_called_a_mean() -> None:
    story = Story(AUTH, {"route": "/"}, "regression", "firing", "warning", 240.0, EVIDENCE, 0, 0, averaged_ms=300_000)
    assert annotate(story).summary == (
        'auth-service response_time_p95{route="/"} averages 231 ms over 5m, '
        "35 % above its baseline of 171 ms (95 % CI +29 % … +41 %)"
    )


def test_an_alert_that_ends_for_another_reason_says_so() -> None:
    assert summary("trend", "resolved", value=None, reason="the service is no longer watched") == (
        "auth-service response_time_p95: the trend alert ended, the service is no longer watched"
    )


def test_the_description_names_the_methods_and_the_numbers() -> None:
    story = Story(AUTH, {}, "regression", "firing", "critical", 231.4, EVIDENCE, 0, 0)
    description = annotate(story).description
    assert "z = 5.1, p = 0.0004." in description
    assert "Methods that agree: change_ratio, zscore." in description
    assert "Rung: season." in description

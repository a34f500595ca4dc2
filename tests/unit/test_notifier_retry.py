"""What an answer means, and when to try again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.notifier.backoff import Backoff
from agents.notifier.receivers.retry import MAX_RETRY_AFTER_MS, outcome_of_status, parse_retry_after_ms

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("verdict", "statuses"),
    [
        ("delivered", [200, 201, 202, 204, 299]),
        ("refused", [300, 301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 415, 422, 451, 501, 505]),
        ("retry", [408, 425, 429, 500, 502, 503, 504, 507, 599]),
    ],
)
def test_every_status_has_one_meaning(verdict: str, statuses: list[int]) -> None:
    for status in statuses:
        outcome = outcome_of_status(status, {}, NOW_MS)
        assert (outcome.verdict, outcome.status) == (verdict, status)
        assert (outcome.reason == "") is (verdict == "delivered")


@given(st.integers(100, 999))
def test_no_status_is_without_a_meaning(status: int) -> None:
    assert outcome_of_status(status, {}, NOW_MS).verdict in {"delivered", "retry", "refused"}


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("0", 0),
        ("30", 30_000),
        (" 30 ", 30_000),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10_000),
        ("Fri, 15 Jan 2027 08:00:10 -0000", 10_000),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("86400", MAX_RETRY_AFTER_MS),
        ("9" * 5000, MAX_RETRY_AFTER_MS),
        ("", None),
        ("soon", None),
        ("Fri, 15 Jan 99999999999999999999 08:00:10 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_more_than_an_hour(text: str, wait_ms: int | None) -> None:
    assert parse_retry_after_ms(text, NOW_MS) == wait_ms


@given(st.text())
def test_no_retry_after_is_too_strange_to_be_read(text: str) -> None:
    wait_ms = parse_retry_after_ms(text, NOW_MS)
    assert wait_ms is None or 0 <= wait_ms <= MAX_RETRY_AFTER_MS


def test_only_who_is_asked_again_may_say_when() -> None:
    assert outcome_of_status(429, {"Retry-After": "7"}, NOW_MS).retry_after_ms == 7_000
    assert outcome_of_status(400, {"Retry-After": "7"}, NOW_MS).retry_after_ms is None


def test_the_ceiling_doubles_up_to_the_longest_wait() -> None:
    latest = Backoff(1_000, 300_000, lambda: 1.0)
    assert [latest.wait_ms(attempts) for attempts in (1, 2, 3, 8, 9, 10_000)] == [
        2_000,
        4_000,
        8_000,
        256_000,
        300_000,
        300_000,
    ]


@given(st.integers(1, 100_000), st.floats(0, 1, exclude_max=True), st.integers(1, 10**6), st.integers(1, 10**7))
def test_every_wait_is_between_the_first_and_the_longest(
    attempts: int, draw: float, initial_ms: int, max_ms: int
) -> None:
    wait_ms = Backoff(initial_ms, max_ms, lambda: draw).wait_ms(attempts)
    assert initial_ms <= wait_ms <= max(initial_ms, max_ms)


def test_the_jitter_is_full() -> None:
    draws = iter([0.0, 0.5])
    backoff = Backoff(1_000, 300_000, lambda: next(draws))
    assert [backoff.wait_ms(3), backoff.wait_ms(3)] == [1_000, 4_500]

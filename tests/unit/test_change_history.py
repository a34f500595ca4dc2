"""What changed before an onset, and what it is worth as an explanation."""

import doctest
import math

import pytest

from budgets import coincidence
from budgets.change import Change, decode_change, encode_change
from budgets.change_history import (
    MOST_KNOWN,
    MOST_NAMED,
    MOST_SERVICES,
    MOST_WAITING,
    PRECEDES_MS,
    ChangeHistory,
)
from budgets.event import format_time

STEP_MS = 15_000
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def changed(version: str, at: int, service: str = "api", effective_at: int | None = None, note: str = "") -> Change:
    return Change(service, version, format_time(at), "test", at if effective_at is None else effective_at, note)


def history(*changes: Change, at: int = NOW_MS) -> ChangeHistory:
    made = ChangeHistory(STEP_MS)
    for change in changes:
        made.note(change)
    made.advance(at)
    return made


def daily(days: int, service: str = "api") -> list[Change]:
    return [changed(f"0.{day}", NOW_MS - day * DAY_MS, service) for day in range(1, days + 1)]


def test_examples_in_the_docstrings_are_true() -> None:
    failures, tried = doctest.testmod(coincidence)
    assert tried >= 3
    assert failures == 0


def test_a_record_of_a_change_can_be_read_back() -> None:
    change = changed("2.4.1", NOW_MS, note="hotfix")
    assert decode_change(encode_change(change)) == change
    assert change.at_ms == NOW_MS


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b'{"service":"api","version":"2","at":"now","by":"me","effective_at":1}',
        b'{"service":"","version":"2","at":"2027-01-15T10:00:00Z","by":"me","effective_at":1}',
        b'{"service":"api","version":"2","at":"2027-01-15T10:00:00Z","by":"me","effective_at":1,"schema":2}',
    ],
)
def test_what_is_no_change_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  a DecodeError of msgspec is one, and both are what is promised
        decode_change(data)


def test_a_change_counts_from_its_step_on() -> None:
    made = history(changed("2", NOW_MS - 60_000, effective_at=NOW_MS + STEP_MS))
    assert made.suspects(["api"], NOW_MS) == ()
    made.advance(NOW_MS + STEP_MS)
    assert [change.version for change in made.suspects(["api"], NOW_MS)] == ["2"]


def test_a_change_that_was_told_late_counts_from_the_next_step_on() -> None:
    made = history(changed("1", NOW_MS))
    made.note(changed("2", NOW_MS - 60_000))
    made.advance(NOW_MS + STEP_MS)
    assert [change.version for change in made.suspects(["api"], NOW_MS)] == ["2", "1"]


@pytest.mark.parametrize(
    ("before_ms", "named"), [(0, True), (PRECEDES_MS, True), (PRECEDES_MS + 1, False), (-STEP_MS, True)]
)
def test_a_change_is_named_when_it_came_shortly_before(before_ms: int, named: bool) -> None:
    made = history(changed("2", NOW_MS - before_ms), at=NOW_MS + DAY_MS)
    assert bool(made.suspects(["api"], NOW_MS)) is named


def test_a_change_of_long_after_the_onset_is_not_named() -> None:
    assert history(changed("2", NOW_MS + 60_000), at=NOW_MS + DAY_MS).suspects(["api"], NOW_MS) == ()


def test_the_chance_comes_from_how_often_the_service_changes() -> None:
    made = history(*daily(20), changed("2.4.1", NOW_MS - 180_000))
    (change,) = made.suspects(["api"], NOW_MS)
    assert change.per_day == pytest.approx(22 / 21)
    assert change.chance == pytest.approx(-math.expm1(-22 / 21 * (180_000 + STEP_MS) / DAY_MS))
    assert change.chance == pytest.approx(0.0024, abs=1e-4)


def test_a_service_whose_habits_are_not_known_is_not_taken_for_a_quiet_one() -> None:
    (first,) = history(changed("1", NOW_MS - 60_000)).suspects(["api"], NOW_MS)
    assert first.per_day == pytest.approx(2.0, rel=0.01)


def test_a_service_that_changes_all_the_time_is_no_explanation() -> None:
    made = history(*(changed(str(number), NOW_MS - number * 1_800_000) for number in range(1, 31)))
    latest = made.suspects(["api"], NOW_MS)[-1]
    assert latest.chance is not None
    assert latest.chance > 0.3


def test_whoever_looks_at_more_services_finds_more_changes_by_chance() -> None:
    made = history(*daily(20), *daily(20, "db"), changed("9", NOW_MS - 60_000, "db"))
    alone = made.suspects(["db"], NOW_MS)[-1]
    (beside,) = made.suspects(["api", "db"], NOW_MS)
    assert beside.service == "db"
    assert alone.chance is not None
    assert beside.chance is not None
    assert beside.chance > 1.8 * alone.chance


def test_only_the_latest_changes_are_named_the_latest_last() -> None:
    made = history(*(changed(str(number), NOW_MS - (10 - number) * 60_000) for number in range(10)))
    assert [change.version for change in made.suspects(["api"], NOW_MS)] == ["7", "8", "9"]
    assert MOST_NAMED == 3


def test_two_services_share_a_change_by_its_version() -> None:
    made = history(changed("2.0", NOW_MS - 60_000), changed("2.0", NOW_MS - 50_000, "web"), changed("3", NOW_MS, "db"))
    assert made.shared_chance("api", NOW_MS, "web", NOW_MS) < 0.01
    assert made.shared_chance("api", NOW_MS, "db", NOW_MS) == 1.0


def test_taking_a_change_again_changes_nothing() -> None:
    changes = [*daily(5), changed("2", NOW_MS)]
    once, twice = history(*changes), history(*changes, *changes)
    for change in reversed(changes):
        twice.note(change)
    twice.advance(NOW_MS)
    assert twice.known == once.known


def test_a_pipeline_that_repeats_itself_has_changed_once() -> None:
    first, again = (changed("2", NOW_MS, effective_at=NOW_MS + number * STEP_MS) for number in (0, 1))
    made = history(first, again, at=NOW_MS + STEP_MS)
    assert len(made.known["api"]) == 1
    made.note(again)
    made.advance(NOW_MS + 2 * STEP_MS)
    assert [known.effective_at for known in made.known["api"]] == [NOW_MS]


def test_what_is_remembered_is_bounded_and_the_newest_stays() -> None:
    made = ChangeHistory(STEP_MS)
    for number in range(2 * MOST_WAITING):
        made.note(changed(str(number), NOW_MS + number * 1_000))
    made.advance(NOW_MS + DAY_MS)
    assert [change.version for change in made.known["api"]] == [
        str(number) for number in range(2 * MOST_WAITING - MOST_KNOWN, 2 * MOST_WAITING)
    ]


def test_services_that_changed_longest_ago_are_forgotten_first() -> None:
    made = history(*(changed("1", NOW_MS + number, f"service-{number}") for number in range(MOST_SERVICES + 5)))
    made.advance(NOW_MS + DAY_MS)
    assert len(made.known) == MOST_SERVICES
    assert "service-4" not in made.known
    assert "service-5" in made.known


def test_changes_of_long_ago_are_forgotten() -> None:
    made = history(*daily(20))
    made.forget(NOW_MS + 15 * DAY_MS)
    assert len(made.known["api"]) == 12
    made.forget(NOW_MS + 60 * DAY_MS)
    assert made.known == {}
    made.note(changed("0", NOW_MS))
    made.advance(NOW_MS + 60 * DAY_MS)
    assert made.known == {}

"""What an event says of its incident and of what changed before: through the Judge, as subscribers get it."""

import doctest

import pytest

from budgets import lead
from budgets.change import Change
from budgets.event import AlertEvent, Evidence, encode_event, format_time
from budgets.judge import Judge
from budgets.spec.model import ServiceBudget
from tests.acceptance.timeline import START_MS, STEP_MS, Row, frame_of, spec

DEPLOYED_MS = START_MS + 5 * STEP_MS
RELEASE = Change("api", "2.4.1", format_time(DEPLOYED_MS), "pipeline", DEPLOYED_MS, "hotfix")
# When each indicator breaks its limit of 200, in steps.
Breaks = dict[str, int]


def judge_of(*ids: str) -> Judge:
    judge = Judge(STEP_MS)
    services: dict[str, list[str]] = {}
    for each in ids:
        services.setdefault(each.partition("/")[0], []).append(each)
    for service, own in services.items():
        specs = tuple(spec(id=each, service=service, name=each.partition("/")[2]) for each in own)
        judge.define(ServiceBudget(service, specs), service, 0)
    return judge


def row_at(step: int, breaks: Breaks) -> Row:
    return {each: (300.0 if step >= broken else 100.0, None) for each, broken in breaks.items()}


def run(judge: Judge, breaks: Breaks, steps: range) -> list[AlertEvent]:
    frames = [frame_of(START_MS + step * STEP_MS, row_at(step, breaks)) for step in steps]
    return [event for frame in frames for event in judge.observe(frame)]


def firing(events: list[AlertEvent]) -> dict[str, AlertEvent]:
    return {f"{event.service}/{event.indicator}": event for event in events if event.transition == "firing"}


def test_examples_in_the_docstrings_are_true() -> None:
    failures, tried = doctest.testmod(lead)
    assert tried >= 2
    assert failures == 0


def test_a_change_before_the_onset_is_named_with_its_chance() -> None:
    breaks = {"api/latency": 17}
    judge = judge_of(*breaks)
    judge.note(RELEASE)
    event = firing(run(judge, breaks, range(30)))["api/latency"]
    (change,) = event.changes
    assert (change.service, change.version, change.at) == ("api", "2.4.1", format_time(DEPLOYED_MS))
    assert change.chance == pytest.approx(0.0045, abs=2e-4)
    assert event.annotations.description.startswith(
        "api changed to 2.4.1 3m before the onset (hotfix); it changes 2 times a day, so by chance 0.45 % of onsets "
        "follow a change this closely. Budget alert"
    )


def test_a_change_of_another_service_is_not_named_unless_both_are_one_incident() -> None:
    breaks = {"web/latency": 17}
    judge = judge_of("api/latency", *breaks)
    judge.note(RELEASE)
    assert firing(run(judge, breaks, range(30)))["web/latency"].changes == ()
    both = {"api/latency": 17, "web/latency": 18}
    judge = judge_of(*both)
    judge.note(RELEASE)
    event = firing(run(judge, both, range(30)))["web/latency"]
    assert [change.service for change in event.changes] == ["api"]
    assert "the 2 services of this incident change" in event.annotations.description


def test_a_change_after_the_onset_is_not_named() -> None:
    breaks = {"api/latency": 1}
    judge = judge_of(*breaks)
    judge.note(RELEASE)
    assert firing(run(judge, breaks, range(30)))["api/latency"].changes == ()


def test_an_alert_that_joins_names_what_the_incident_began_with() -> None:
    breaks = {"api/latency": 2, "api/errors": 10, "web/latency": 12}
    events = firing(run(judge_of(*breaks), breaks, range(30)))
    assert len({event.incident for event in events.values()}) == 1
    assert " with " not in events["api/latency"].annotations.summary
    assert events["api/errors"].annotations.summary.endswith(", with latency since 14:14 UTC")
    assert events["web/latency"].annotations.summary.endswith(", with api latency since 14:14 UTC")
    lead = events["web/latency"].lead
    assert lead is not None
    assert (lead.earliest.indicator, lead.earliest.onset) == ("latency", format_time(START_MS + 2 * STEP_MS))
    assert lead.services == ("api", "web")


def test_an_incident_leads_with_what_fired_not_with_what_came_to_nothing() -> None:
    judge = judge_of("api/latency", "api/errors")
    frames: list[Row] = [{"api/latency": (100.0, None), "api/errors": (100.0, None)}]
    frames += [{"api/latency": (300.0, None), "api/errors": (100.0, None)}]
    frames += [{"api/latency": (100.0, None), "api/errors": (300.0, None)}] * 10
    events = [
        event for step, row in enumerate(frames) for event in judge.observe(frame_of(START_MS + step * STEP_MS, row))
    ]
    event = firing(events)["api/errors"]
    assert event.lead is not None
    assert event.lead.earliest.fingerprint == event.fingerprint


def test_what_is_over_leads_nothing() -> None:
    breaks = {"api/latency": 2}
    judge = judge_of(*breaks)
    run(judge, breaks, range(10))
    events = run(judge, {"api/latency": 10_000}, range(10, 30))
    assert [event.transition for event in events] == ["resolved"]
    assert events[0].lead is None


def test_an_onset_long_before_a_limit_breaks_is_another_event() -> None:
    evidence = Evidence(onset=format_time(START_MS))
    hours = 3_600_000
    assert lead.onset_of("budget", evidence, START_MS + 2 * hours) == START_MS + 2 * hours
    assert lead.onset_of("budget", evidence, START_MS + hours) == START_MS
    assert lead.onset_of("regression", evidence, START_MS + 2 * hours) == START_MS
    assert lead.onset_of("budget", Evidence(), START_MS) == START_MS


@pytest.mark.parametrize("stop", [4, 8, 13, 20])
def test_a_restored_judge_tells_the_same_to_the_byte(stop: int) -> None:
    breaks = {"api/latency": 7, "api/errors": 12, "web/latency": 14}
    changes = [RELEASE, Change("web", "2.4.1", format_time(DEPLOYED_MS + 20_000), "pipeline", DEPLOYED_MS + 30_000)]
    whole = judge_of(*breaks)
    for change in changes:
        whole.note(change)
    expected = [encode_event(event) for event in run(whole, breaks, range(40))]
    first = judge_of(*breaks)
    for change in changes:
        if change.effective_at <= START_MS + stop * STEP_MS:
            first.note(change)
    told = [encode_event(event) for event in run(first, breaks, range(stop))]
    second = judge_of(*breaks)
    for change in changes:  # a worker that starts reads the topic from its beginning
        second.note(change)
    second.restore(first.snapshot())
    told += [encode_event(event) for event in run(second, breaks, range(stop, 40))]
    assert told == expected
    assert second.snapshot() == whole.snapshot()
    assert any(event for event in told if b'"version":"2.4.1"' in event)


def test_of_alerts_that_fire_at_one_step_all_name_the_largest() -> None:
    ids = ("api/a", "api/b")
    judge = judge_of(*ids)
    rows: list[Row] = [dict.fromkeys(ids, (100.0 + step % 3, None)) for step in range(120)]
    rows += [{"api/a": (150.0, None), "api/b": (300.0, None)}] * 10
    events = [
        event for step, row in enumerate(rows) for event in judge.observe(frame_of(START_MS + step * STEP_MS, row))
    ]
    first, second = [event for event in events if event.kind == "regression" and event.transition == "firing"]
    assert (first.at, first.incident) == (second.at, second.incident)
    assert first.lead == second.lead
    assert first.lead is not None
    assert first.lead.largest is not None
    assert first.lead.largest.indicator == "b"
    assert ", with b +197 % since" in first.annotations.summary

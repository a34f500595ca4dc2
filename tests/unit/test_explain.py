"""Why it fired and why it did not: the words say what the Judge did, with its numbers."""

import random

import msgspec
import pytest

from budgets.event import AlertEvent, AlertKind
from budgets.explain.alert import explain_event
from budgets.explain.now import KindExplanation, explain
from budgets.explain.state import PointState, state_of
from budgets.judge import Judge
from budgets.spec.load import load_budgets
from streams.frame import IndicatorFrame, Points

STEP_MS = 60_000
START_MS = 1_700_000_040_000
LATENCY = '{"api": {"response_time": {"p95": {"budget_ms": 200, "warning_threshold": 0.8}}}}'
POINT = "api/response_time_p95"


class Story:
    """Values a minute of one indicator, judged; the newest state and every event."""

    def __init__(self, text: str = LATENCY, point: str = POINT) -> None:
        (budget,) = load_budgets(text, "b.json", step_ms=STEP_MS)
        self.spec = budget.indicators[0]
        self.point = point
        self.judge = Judge(STEP_MS)
        self.judge.define(budget, budget.service, 0)
        self.at = START_MS
        self.events: list[AlertEvent] = []

    def tell(self, *values: float | None, weight: float | None = 10_000.0) -> "Story":
        for value in values:
            points = Points([self.point], [value], [weight])
            self.events += self.judge.observe(IndicatorFrame(self.at, STEP_MS, points))
            self.at += STEP_MS
        return self

    def usual(self, count: int, seed: int = 1) -> "Story":
        rng = random.Random(seed)
        return self.tell(*(100.0 + rng.gauss(0.0, 2.0) for _ in range(count)))

    @property
    def state(self) -> PointState:
        place = self.judge.look(self.point)
        assert place is not None
        return state_of(self.point, place)

    def why(self, kind: AlertKind) -> KindExplanation:
        (found,) = [each for each in explain(self.spec, self.state).kinds if each.kind == kind]
        return found


def lacking(explanation: KindExplanation) -> list[str]:
    return [condition.name for condition in explanation.conditions if not condition.holds]


def test_a_usual_value_lacks_the_limit_the_size_and_the_significance() -> None:
    story = Story().usual(120)
    assert lacking(story.why("budget")) == ["limit"]
    assert story.why("budget").text.endswith("it fires above 160 ms.")
    assert {"regression_threshold", "confidence interval"} <= set(lacking(story.why("regression")))
    assert lacking(story.why("no_data")) == ["without a value"]
    assert {each.status for each in explain(story.spec, story.state).kinds} == {"quiet"}


def test_a_young_indicator_lacks_its_past() -> None:
    why = Story().usual(7).why("regression")
    assert "rung" in lacking(why)
    assert "too little is known of the past" in why.text


def test_little_traffic_is_named_with_its_number() -> None:
    story = Story().usual(60).tell(300.0, weight=3.0)
    assert "events" in lacking(story.why("budget"))
    assert "3 events in the window, 20 are needed" in story.why("budget").text


def test_a_percentile_of_too_few_requests_is_no_regression_but_its_limit_holds() -> None:
    story = Story().usual(60).tell(300.0, weight=50.0)
    assert "events beyond the percentile" in lacking(story.why("regression"))
    assert story.why("budget").status == "pending"


def test_a_broken_limit_says_how_long_it_holds_and_then_that_everything_does() -> None:
    story = Story('{"api": {"response_time": {"p95": {"budget_ms": 200, "for": "5m"}}}}').usual(60).tell(300.0, 300.0)
    why = story.why("budget")
    assert (why.status, lacking(why)) == ("pending", ["for"])
    assert why.conditions[-1].text == "holds for 1m, it fires after 5m"
    assert lacking(story.tell(*[300.0] * 5).why("budget")) == []
    assert story.why("budget").text.startswith("The limit alert is firing since")


def test_an_alert_that_goes_on_without_its_condition_says_what_would_end_it() -> None:
    story = Story().usual(60).tell(300.0, 300.0, 300.0, 100.0)
    why = story.why("budget")
    assert why.status == "firing"
    assert "ends when it stays so: 100 ms, it fires above 160 ms" in why.text


def test_missing_data_is_told_from_missing_alarms() -> None:
    story = Story().usual(60).tell(300.0, 300.0, None, None)
    explanation = explain(story.spec, story.state)
    assert explanation.value is None
    assert explanation.text.startswith("api/response_time_p95 has no data, the last value was at 2023-")
    assert story.why("budget").status == "stale"
    assert "2m without a value, it fires after 5m" in story.why("no_data").text


def test_the_no_data_alert_of_an_indicator_is_that_of_its_points() -> None:
    why = Story().usual(60).tell(*[None] * 6).why("no_data")
    assert (why.status, lacking(why)) == ("firing", [])


def test_an_alert_that_recovered_says_when_it_is_over() -> None:
    story = Story('{"api": {"response_time": {"p95": {"budget_ms": 200, "keep_firing_for": "10m"}}}}').usual(60)
    why = story.tell(300.0, 300.0, 300.0, 100.0, 100.0, 100.0).why("budget")
    assert why.conditions[-1].text == "recovered for 2m, it is over after 10m"


def test_a_regression_persists_for_a_step_at_least() -> None:
    why = Story().usual(120).tell(150.0).why("regression")
    assert (why.status, lacking(why)) == ("pending", ["for"])
    assert why.conditions[-1].text == "holds for 0s, it fires after 1m"


def test_an_indicator_without_a_limit_says_so() -> None:
    story = Story('{"api": {"response_time": {"p95": {"regression_threshold": 0.1}}}}').usual(60)
    assert "the budget has no limit" in story.why("budget").text


@pytest.mark.parametrize("seed", range(4))
def test_the_conditions_of_a_regression_are_exactly_those_of_the_detector(seed: int) -> None:
    story = Story()
    rng = random.Random(seed)
    agreed = 0
    for step in range(900):
        level = 100.0 * (1.0 + (0.2 * (seed + 1) if step > 600 else 0.0))
        story.tell(level + rng.gauss(0.0, 2.0))
        compared = story.state.compared
        if compared is not None:
            assert (lacking_but_persistence(story.why("regression")) == []) is compared.regressed, step
            agreed += compared.regressed
    assert agreed > 0


def lacking_but_persistence(explanation: KindExplanation) -> list[str]:
    return [each.name for each in explanation.conditions if not each.holds and each.need != "persistence"]


def test_looking_changes_nothing() -> None:
    looked, alone = Story(), Story()
    for _ in range(40):
        looked.usual(10, seed=3)
        assert looked.state.at == looked.at - STEP_MS
        alone.usual(10, seed=3)
    assert looked.judge.snapshot() == alone.judge.snapshot()


def test_a_state_travels_as_json() -> None:
    state = Story().usual(60).tell(300.0, 300.0).state
    assert msgspec.json.decode(msgspec.json.encode(state), type=PointState) == state


def test_an_event_is_explained_by_its_own_evidence() -> None:
    story = Story().usual(120).tell(*[150.0] * 5)
    (firing,) = [event for event in story.events if (event.kind, event.transition) == ("regression", "firing")]
    explained = explain_event(firing)
    assert [condition.name for condition in explained.conditions] == [
        *("threshold", "relative change", "z-score", "confidence interval")
    ]
    assert all(condition.holds for condition in explained.conditions)
    assert "above its baseline of" in explained.text

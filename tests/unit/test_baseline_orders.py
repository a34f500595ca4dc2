"""Orders about baselines, from the document to what is judged: make, accept, pin; and steady ones by themselves."""

import msgspec
import numpy as np
import pytest

from budgets.baseline_books import AGAIN_AFTER_MS, DEPLOYMENT_MS
from budgets.baseline_order import (
    Action,
    BaselineDocument,
    Pinned,
    baseline_of_order,
    document_of,
    next_version,
)
from budgets.change import Change
from budgets.event import AlertEvent, format_time
from budgets.judge import Judge
from budgets.order import Order
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.detect.usual import Usual
from streams.frame import Baselines, IndicatorFrame, Points

STEP_MS = 300_000
DAY_STEPS = 288
START_MS = 1_790_000_100_000
ID = "api/latency"
SPEC = IndicatorSpec(ID, "api", "latency", "custom", "x", "ms", "above", for_ms=0, window_ms=STEP_MS)
FOREVER = 1 << 60


class Run:
    """A Judge of one indicator, fed step by step. orders: the versions that came about by themselves."""

    def __init__(self, spec: IndicatorSpec = SPEC, seed: int = 3) -> None:
        self.judge = Judge(STEP_MS)
        self.judge.define(ServiceBudget("api", (spec,)), "api", 0)
        self.at = START_MS
        self.orders: list[Order] = []
        self.events: list[AlertEvent] = []
        self._rng = np.random.default_rng(seed)

    def give(self, level: float, steps: int, *, noise: float = 0.01, ids: tuple[str, ...] = (ID,)) -> list[AlertEvent]:
        """Some steps around a level; their events."""
        events: list[AlertEvent] = []
        for _ in range(steps):
            values: list[float | None] = [level * (1 + noise * float(self._rng.standard_normal())) for _ in ids]
            self.frame = IndicatorFrame(self.at, STEP_MS, Points(list(ids), values, [None] * len(ids)))
            events += self.judge.observe(self.frame)
            self.orders += self.judge.books.take_decided()
            self.at += STEP_MS
        self.events += events
        return events

    def order(self, action: Action, *, version: int = 1, subject: str = ID, **keys: object) -> Order:
        """Give an order that holds from the next step on."""
        document = BaselineDocument(subject, version, action, **keys)  # type: ignore[arg-type]
        order = Order(f"baseline/{subject}", document_of(document), "alice", self.at - 1, self.at)
        self.judge.books.take(order)
        return order

    @property
    def baselines(self) -> Baselines:
        return self.judge.baselines_of(self.frame)

    @property
    def expected(self) -> float:
        (expected,) = self.baselines.expected
        assert expected is not None
        return expected


def pinned(version: str = "2.4.1") -> Pinned:
    return Pinned(version, START_MS)


def fired(events: list[AlertEvent], kind: str = "regression") -> bool:
    return any(event.kind == kind and event.transition == "firing" for event in events)


def test_what_is_accepted_is_usual_from_then_on_and_its_alert_resolves() -> None:
    run = Run()
    run.give(100.0, 3 * DAY_STEPS)
    assert fired(run.give(140.0, 24))
    run.order("update")
    events = run.give(140.0, 12)
    assert [event.transition for event in events if event.kind == "regression"] == ["resolved"]
    assert run.expected == pytest.approx(140.0, rel=0.02)
    assert not fired(run.give(140.0, DAY_STEPS))


def test_an_order_counts_from_its_step_on_and_only_once() -> None:
    run = Run()
    run.give(100.0, 2 * DAY_STEPS)
    run.give(140.0, 24)
    order = run.order("update")
    run.give(140.0, 12)
    level = run.expected
    run.judge.books.take(order)
    run.give(140.0, 1)
    assert run.expected == pytest.approx(level, rel=0.02)


def test_a_baseline_that_is_made_before_the_first_value_judges_from_it_on() -> None:
    source = Run()
    source.give(100.0, 15 * DAY_STEPS)
    usual = source.judge._places[ID].point.detector.baseline.tell()
    assert usual is not None
    run = Run()
    run.at = source.at
    run.order("create", usual=usual)
    assert fired(run.give(140.0, 12))
    assert run.baselines.rung == ["season"]
    assert run.baselines.season == source.baselines.season == ["week"]
    assert run.expected == pytest.approx(source.expected, rel=0.01)


def test_level_and_spread_alone_are_enough_to_make_one() -> None:
    run = Run()
    run.give(100.0, 100)
    run.order("create", usual=Usual(100.0, 0.02, run.at - STEP_MS, run.at, 1000))
    assert fired(run.give(140.0, 12))
    assert run.expected == pytest.approx(100.0)


def test_an_order_about_an_indicator_is_about_all_its_groups_and_those_to_come() -> None:
    groups = ('api/latency{route="/a"}', 'api/latency{route="/b"}')
    run = Run(msgspec.structs.replace(SPEC, group_by=("route",)))
    run.give(50.0, 10, ids=groups[:1])
    run.order("create", usual=Usual(100.0, 0.02, run.at - STEP_MS, run.at, 1000))
    run.give(100.0, 1, ids=groups)
    assert run.baselines.expected == [pytest.approx(100.0, rel=0.01)] * 2


def test_what_is_pinned_stands_still_while_the_level_creeps_away() -> None:
    def creep(run: Run) -> None:
        for day in range(40):
            run.give(100.0 * (1 + 0.004 * day), DAY_STEPS)

    free, held = Run(), Run()
    for run in (free, held):
        run.give(100.0, 15 * DAY_STEPS)
    held.order("pin", pinned=pinned())
    for run in (free, held):
        creep(run)
    assert free.expected > 113.0
    assert held.expected == pytest.approx(100.0, rel=0.01)
    assert not fired(free.events)
    assert fired(held.events)
    assert held.baselines.season == ["week"]
    held.order("unpin", version=2)
    held.give(115.0, 1)
    assert held.expected > 110.0


def test_what_is_pinned_too_early_stands_still_as_soon_as_it_can() -> None:
    run = Run()
    run.order("pin", pinned=pinned())
    run.give(100.0, 2 * DAY_STEPS)
    detector = run.judge._places[ID].point.detector
    assert detector.is_pinned


def test_a_new_level_can_be_accepted_where_the_baseline_is_pinned() -> None:
    run = Run()
    run.give(100.0, 3 * DAY_STEPS)
    run.order("pin", pinned=pinned())
    run.give(140.0, 24)
    run.order("update", version=2, pinned=pinned())
    run.give(140.0, DAY_STEPS)
    assert run.judge._places[ID].point.detector.is_pinned
    assert run.expected == pytest.approx(140.0, rel=0.02)


def test_seven_steady_days_make_a_version_and_seven_more_the_next() -> None:
    run = Run()
    run.give(100.0, 22 * DAY_STEPS, noise=0.02)
    documents = [baseline_of_order(order) for order in run.orders]
    assert [document.version for document in documents if document] == [1, 2]
    first, second = run.orders
    assert START_MS + 7 * 86_400_000 <= first.at <= START_MS + 9 * 86_400_000
    assert second.at - first.at >= AGAIN_AFTER_MS
    document = documents[0]
    assert document is not None
    assert document.usual is not None
    assert document.usual.level == pytest.approx(100.0, rel=0.01)
    assert document.variation is not None
    assert document.variation < 0.05
    assert (first.by, first.effective_at) == ("driftline", first.at)


def test_unsteady_days_make_none() -> None:
    run = Run()
    run.give(100.0, -((START_MS // STEP_MS) % -DAY_STEPS))  # to midnight
    for level in np.random.default_rng(1).uniform(88.0, 112.0, 20).tolist():
        run.give(level, DAY_STEPS)
    assert run.orders == []


def test_what_is_pinned_gets_no_version_by_itself() -> None:
    run = Run()
    run.give(100.0, 2 * DAY_STEPS)
    run.order("pin", pinned=pinned())
    run.give(100.0, 15 * DAY_STEPS)
    assert run.orders == []


@pytest.mark.parametrize("told", ["before", "after"])
def test_a_restart_changes_nothing_whenever_the_orders_are_told_again(told: str) -> None:
    whole = Run()
    whole.give(100.0, 9 * DAY_STEPS)
    orders = [whole.order("pin", pinned=pinned()), *whole.orders]
    whole.give(103.0, 20)
    later = whole.order("unpin", version=9)
    orders.append(later)
    again = Run()
    if told == "before":
        for order in orders:
            again.judge.books.take(order)
    again.judge.restore(whole.judge.snapshot())
    if told == "after":
        for order in orders:
            again.judge.books.take(order)
    again.at, again._rng = whole.at, np.random.default_rng(8)
    whole._rng = np.random.default_rng(8)
    for run in (whole, again):
        run.give(104.0, 9 * DAY_STEPS)
    assert again.judge.snapshot() == whole.judge.snapshot()


def test_a_deployment_teaches_nothing_for_a_quarter_of_an_hour() -> None:
    run = Run()
    run.give(100.0, DAY_STEPS)
    run.judge.note(Change("api", "2.0", format_time(run.at - 1), "ci", run.at))
    before = run.judge._places[ID].point.detector.baseline.learned_ms
    run.give(101.0, DEPLOYMENT_MS // STEP_MS)
    assert run.judge._places[ID].point.detector.baseline.learned_ms == before
    run.give(101.0, 1)
    assert run.judge._places[ID].point.detector.baseline.learned_ms > before


def test_a_version_follows_the_one_before_and_what_is_pinned_stays_so() -> None:
    first = next_version(None, ID, "pin", pinned=pinned("2"))
    second = next_version(first, ID, "update")
    assert (first.version, second.version, second.pinned) == (1, 2, pinned("2"))
    assert next_version(second, ID, "unpin").pinned is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (BaselineDocument("api/other", 1, "update"), "is about 'api/other'"),
        (BaselineDocument(ID, 1, "create"), "expected to be told what is usual"),
        (BaselineDocument(ID, 1, "pin"), "expected the release"),
        (BaselineDocument(ID, 1, "update", schema=2), "schema 1, got 2"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(document: BaselineDocument, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        baseline_of_order(Order(f"baseline/{ID}", document_of(document), "alice", 1, 1))

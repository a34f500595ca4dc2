"""Whatever stands in a rule file, what is made of it loads; and the levels are those of the rules, number by number."""

import math
from contextlib import suppress
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.limits import level_of
from budgets.rule_file.convert import convert_rules
from budgets.rule_file.load import load_rules
from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget
from streams.promql.series_notation import NotationError, parse_metric, parse_values

texts = st.one_of(
    st.sampled_from(["shop", "1e3", "no", "null", "1:30", "{{ $l.x }}", "https://example.com", "a: b", "# x", "", "'"]),
    st.text(max_size=12),
)
bounds = st.one_of(
    st.integers(-3, 200).map(float),
    st.floats(0, 1e6, allow_nan=False),
    st.sampled_from([0.0, 0.05, 0.1, 0.3, 99.9, 1e-9, 1e12, 5e-324, 1e308]),
)
values = st.sampled_from(
    ["queue", "sum by (route) (rate(hits_total[5m]))", "a / b\n  * 100", 'x{service="shop"}', "rec", 'y{z=~"a|b"}']
)
operators = st.sampled_from([">", ">=", "<", "<="])
names = st.one_of(st.sampled_from(["QueueLong", "Throughput", "HighErrors5xx", "ÄÖ", "error_rate"]), texts)


@st.composite
def alerts(draw: st.DrawFn) -> dict[str, Any]:
    bound = draw(bounds)
    labels = draw(st.dictionaries(st.one_of(st.sampled_from(["service", "team", "route"]), texts), texts, max_size=3))
    labels["severity"] = draw(st.sampled_from(["warning", "critical", "page", "info", "odd", ""]))
    return {
        "alert": draw(names),
        "expr": f"{draw(values)} {draw(operators)} {bound!r}",
        "for": draw(st.sampled_from(["0s", "2m", "1h30m"])),
        "labels": labels,
        "annotations": {"runbook_url": draw(texts), "summary": draw(texts)},
    }


rule_files = st.lists(
    st.one_of(alerts(), st.fixed_dictionaries({"record": st.just("rec"), "expr": values})), min_size=1, max_size=6
)


def made_of(rules: list[dict[str, Any]]) -> tuple[int, list[ServiceBudget]]:
    text = yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}, allow_unicode=True)
    try:
        loaded = load_rules(text, "rules.yml")
    except BudgetError:
        return 0, []  # an empty name, say: refused as a whole, with its place
    conversion = convert_rules(loaded, "shop")
    left_out = {id(remark.rule) for remark in conversion.remarks if not remark.was_taken}
    recorded = {id(rule) for rule in loaded if not rule.is_alert} - left_out
    assert conversion.taken + len(left_out) + len(recorded) == len(loaded)
    assert bool(conversion.text) == bool(conversion.taken)
    return conversion.taken, load_budgets(conversion.text, "made.yaml", step_ms=15_000) if conversion.text else []


@settings(deadline=None)
@given(rules=rule_files)
def test_what_is_made_of_rules_loads_and_no_rule_is_lost(rules: list[dict[str, Any]]) -> None:
    taken, budgets = made_of(rules)
    assert sum(len(budget.indicators) for budget in budgets) <= taken


@settings(deadline=None)
@given(operator=operators, bound=st.one_of(st.floats(0, 1e12), st.integers(0, 1000).map(float)))
def test_a_limit_is_broken_by_the_numbers_that_fire_the_rule(operator: str, bound: float) -> None:
    rule = {"alert": "A", "expr": f"queue {operator} {bound!r}", "labels": {"severity": "critical"}}
    _, budgets = made_of([rule])
    if not budgets:
        assert bound == 0  # `< 0`, or `>= 0`: no limit of a budget
        return
    (spec,) = budgets[0].indicators
    for value in (bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf), 0.0, 2 * bound + 1):
        fires = {">": value > bound, ">=": value >= bound, "<": value < bound, "<=": value <= bound}[operator]
        assert (level_of(spec, value) == "critical") is fires


@given(text=st.one_of(st.text(max_size=40), st.text(alphabet='ab{}="\\,x0123_+-. stale', max_size=40)))
def test_a_series_or_a_list_of_values_is_read_or_refused_and_nothing_else(text: str) -> None:
    for read in (parse_metric, parse_values):
        with suppress(NotationError):
            read(text)

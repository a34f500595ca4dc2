"""The comparison itself: it sees what differs, and makes a failing case small."""

import math
from random import Random

import pytest

from streams.promql.functions import AGGREGATIONS, SIGNATURES
from streams.promql.parse import parse_expression
from tests.differential.answers import compare, evaluate, is_undetermined
from tests.differential.grammar import STORY, Grammar, Term, term
from tests.differential.series import Series, Stored, tell_series
from tests.differential.shrink import Case, shrink

END_MS = 1_764_000_000_000
A, B = (("pod", "a"),), (("pod", "b"),)


@pytest.mark.parametrize(
    ("ours", "theirs", "wrong"),
    [
        ({A: 1.0}, {A: 1.0}, 0),
        ({A: 1.0}, {A: 1.0 + 1e-10}, 0),
        ({A: 1.0}, {A: 1.0 + 1e-8}, 1),
        ({A: math.nan}, {A: math.nan}, 0),
        ({A: math.nan}, {A: 1.0}, 1),
        ({A: math.inf}, {A: -math.inf}, 1),
        ({A: 0.0}, {A: 1e-300}, 1),
        ({A: 1.0}, {}, 1),
        ({A: 1.0}, {B: 1.0}, 2),
        ({}, None, 1),
        (None, None, 0),
    ],
)
def test_answers_are_compared_in_values_labels_and_failures(
    ours: dict[tuple[tuple[str, str], ...], float] | None,
    theirs: dict[tuple[tuple[str, str], ...], float] | None,
    wrong: int,
) -> None:
    assert len(compare(ours, theirs).wrong) == wrong


def test_every_function_and_aggregation_is_drawn_and_all_parse() -> None:
    grammar = Grammar(Random(5))
    texts = [str(grammar.draw()).replace(STORY, "s") for _ in range(4000)]
    for text in texts:
        parse_expression(text)
    everything = " ".join(texts)
    assert [name for name in SIGNATURES if f"{name}(" not in everything] == []
    assert [name for name in AGGREGATIONS if f"{name} (" not in everything and f"{name} by (" not in everything] == []
    assert "m:1m]" in everything
    assert "group_left" in everything


def test_a_failing_case_becomes_a_readable_one() -> None:
    series = tell_series(Random(1), END_MS)
    odd = term("vector", f'ceil(queue{{story="{STORY}"}})')
    whole = term("vector", "(%% + %%)", term("vector", "abs(%%)", odd), Term("scalar", ("60",)))
    (pod,) = [dict(labels)["pod"] for labels in series if ("__name__", "queue") in labels][:1]

    def fails(case: Case) -> bool:
        names = {(dict(labels)["__name__"], dict(labels)["pod"]) for labels, samples in case.series.items() if samples}
        return "ceil" in str(case.expression) and ("queue", pod) in names

    small = shrink(Case(series, whole, END_MS, 3), fails)
    assert small.expression == odd
    assert small.before == 0
    ((labels, samples),) = small.series.items()
    assert dict(labels)["pod"] == pod
    assert len(samples) == 1
    assert "ceil(queue)" in str(small)


def test_what_rounding_decides_is_told_from_what_is_wrong() -> None:
    series: Series = {(("__name__", "g"), ("pod", "a")): ((END_MS - 60_000, 0.1), (END_MS, 0.4))}
    stored = Stored(series, "s", END_MS)
    for text, rounding in (
        ("rate(g[2m]) - rate(g[2m])", False),
        ("rate(g[2m]) - rate(g[2m])", True),
        ("sum(g) - sum(g)", True),
        ("sum(g)", False),
    ):
        ours = evaluate(stored, parse_expression(text), END_MS, 0)
        assert ours is not None
        theirs = {labels: value + (1e-16 if rounding else 1e-3) for labels, value in ours.items()}
        assert is_undetermined(stored, text, END_MS, ours, theirs) == rounding, text

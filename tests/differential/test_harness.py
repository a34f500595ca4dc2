"""The comparison itself: it sees what differs, and makes a failing case small."""

import math
from random import Random

import pytest

from streams.promql.functions import AGGREGATIONS, SIGNATURES
from streams.promql.parse import parse_expression
from tests.differential.answers import Answer, compare, evaluate
from tests.differential.grammar import STORY, Grammar, Term, term
from tests.differential.native_series import NATIVE_METRICS, NativeSource, stale_histogram, value_text
from tests.differential.rounding import is_undetermined
from tests.differential.series import Series, Stored, tell_series
from tests.differential.shrink import Case, shrink

END_MS = 1_764_000_000_000
POD = (("pod", "a"),)
A, B = (POD, ""), ((("pod", "b"),), "")
HISTOGRAM = {(POD, "count"): 3.0, (POD, "sum"): 1.5, (POD, "(0.5, 1]"): 3.0}


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
        (HISTOGRAM, HISTOGRAM, 0),
        (HISTOGRAM, HISTOGRAM | {(POD, "sum"): 1.6}, 1),
        (HISTOGRAM, HISTOGRAM | {(POD, "(0.5, 1]"): 2.0}, 1),
        (HISTOGRAM, HISTOGRAM | {(POD, "(1, 2]"): 1.0}, 1),
        (HISTOGRAM, HISTOGRAM | {(POD, "(1, 2]"): 0.0}, 0),  # a bucket that is not there is empty
        (HISTOGRAM, {}, 3),
        (HISTOGRAM, {A: 3.0}, 4),
        (None, None, 0),
    ],
)
def test_answers_are_compared_in_values_labels_and_failures(ours: Answer, theirs: Answer, wrong: int) -> None:
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
    about_native = sum(any(metric in text for metric in NATIVE_METRICS) for text in texts)
    assert 1 / 4 < about_native / len(texts) < 1 / 2


def test_stories_have_native_histograms_of_every_kind() -> None:
    random = Random(3)
    messages = [
        value
        for _ in range(5)
        for samples in tell_series(random, END_MS).values()
        for _, value in samples
        if not isinstance(value, float)
    ]
    for kind, there in {
        "integer": lambda message: message.count_int > 0,
        "float": lambda message: message.count_float > 0,
        "custom": lambda message: message.schema == -53,
        "coarse": lambda message: -4 <= message.schema < 0,
        "fine": lambda message: message.schema > 1,
        "negative": lambda message: len(message.negative_spans) > 0,
        "zero bucket": lambda message: message.zero_count_int > 0,
        "empty buckets": lambda message: 0.0 in list(message.positive_counts),
        "gauge": lambda message: message.reset_hint == 3,
        "reset": lambda message: message.reset_hint == 1,
        "no number": lambda message: math.isnan(message.sum) and message.count_int > 0,
        "stale": lambda message: value_text(message) == "stale",
    }.items():
        assert any(map(there, messages)), kind


def test_a_histogram_is_shown_as_test_files_write_it() -> None:
    assert value_text(stale_histogram(1)) == "stale"
    shown = value_text(NativeSource(Random(4), "size").scrape(1))
    assert "schema:-53" in shown
    assert "custom_values:[" in shown


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

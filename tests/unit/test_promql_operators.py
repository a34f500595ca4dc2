"""Arithmetic, comparisons, matching, set operations and functions of elements by hand."""

import pytest

from tests.unit.promql_cases import ask

SERIES = {
    'hits{pod="a"}': [(-5.0, 6.0)],
    'hits{pod="b"}': [(-5.0, 0.0)],
    'all{pod="a",zone="x"}': [(-5.0, 8.0)],
    'all{pod="b",zone="x"}': [(-5.0, 0.0)],
    'all{pod="c",zone="y"}': [(-5.0, 2.0)],
    'info{zone="x",city="Ulm"}': [(-5.0, 1.0)],
    'info{zone="y",city=""}': [(-5.0, 1.0)],
    'twin{pod="a",n="1"}': [(-5.0, 1.0)],
    'twin{pod="a",n="2"}': [(-5.0, 2.0)],
}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("1 + 2 * 3 ^ 2 % 5", {"": 4.0}),
        ("-2 ^ 2", {"": -4.0}),
        ("7 % -3", {"": 1.0}),
        ("1 / 0", {"": None}),
        ("1 > bool 0", {"": 1.0}),
        ("NaN == bool NaN", {"": 0.0}),
        ("hits * 2", {"pod=a": 12.0, "pod=b": 0.0}),
        ("10 - hits", {"pod=a": 4.0, "pod=b": 10.0}),
        ("hits / 0", {"pod=a": None, "pod=b": None}),
        ("-hits", {"pod=a": -6.0, "pod=b": -0.0}),
        ("hits > 3", {"pod=a": 6.0}),
        ("3 < hits", {"pod=a": 6.0}),
        ("hits > bool 3", {"pod=a": 1.0, "pod=b": 0.0}),
        ("hits > 100", {"": None}),
        ("hits / on (pod) all", {"pod=a": 0.75, "pod=b": None}),
        ("hits / ignoring (zone) all", {"pod=a": 0.75, "pod=b": None}),
        ("hits / all", {"": None}),
        ("hits < on (pod) all", {"pod=a": 6.0}),
        ("hits == bool on (pod) all", {"pod=a": 0.0, "pod=b": 1.0}),
        (
            "all * on (zone) group_left (city) info",
            {"city=Ulm,pod=a,zone=x": 8.0, "city=Ulm,pod=b,zone=x": 0.0, "pod=c,zone=y": 2.0},
        ),
        ("info - on (zone) group_right all", {"pod=a,zone=x": -7.0, "pod=b,zone=x": 1.0, "pod=c,zone=y": -1.0}),
        ("all * on (zone) info", {"": None}),  # many to one is not said
        ("hits * on (pod) twin", {"": None}),  # two on the one side
        ("twin * on (pod) hits", {"": None}),
        ("missing * on (pod) twin", {"": None}),
        ("twin * on (pod) group_left () hits", {"n=1,pod=a": 6.0, "n=2,pod=a": 12.0}),
        ("sum(hits) / sum(all)", {"": 0.6}),
        ("sum(hits) / sum(missing)", {"": None}),
        ("all and on (pod) hits", {"pod=a,zone=x": 8.0, "pod=b,zone=x": 0.0}),
        ("all unless on (pod) hits", {"pod=c,zone=y": 2.0}),
        ("all and on (pod) missing", {"": None}),
        ("all unless on (pod) missing", {"pod=a,zone=x": 8.0, "pod=b,zone=x": 0.0, "pod=c,zone=y": 2.0}),
        ("hits or on (pod) all", {"pod=a": 6.0, "pod=b": 0.0, "pod=c,zone=y": 2.0}),
        ("sum(missing) or sum(hits) * 0", {"": 0.0}),
        ("sum(hits or on (pod) all)", {"": 8.0}),
        ("(sum(missing) or vector(2)) + sum(hits)", {"": 8.0}),
        ("clamp_min(all, 1)", {"pod=a,zone=x": 8.0, "pod=b,zone=x": 1.0, "pod=c,zone=y": 2.0}),
        ("clamp_max(hits, 1) + abs(-1 * hits)", {"pod=a": 7.0, "pod=b": 0.0}),
        ("clamp_max(hits, NaN)", {"pod=a": None, "pod=b": None}),
        ("scalar(sum(hits)) + 1", {"": 7.0}),
        ("scalar(hits) + 1", {"": None}),
        ("vector(3)", {"": 3.0}),
        ('{__name__=~"hits|twin", pod="a"} + 1', {"n=1,pod=a": 2.0, "n=2,pod=a": 3.0, "pod=a": 7.0}),
        ('{__name__=~"hits|all", zone=""}', {"pod=a": 6.0, "pod=b": 0.0}),
    ],
)
def test_an_operator(expr: str, expected: dict[str, float | None]) -> None:
    assert ask(expr, SERIES) == expected

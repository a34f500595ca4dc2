"""Aggregations by hand, and sums that are exact in any order."""

import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.promql.aggregate import sum_groups
from tests.unit.promql_cases import INF, NAN, ask

SERIES = {
    'g{pod="a",zone="x"}': [(-5.0, 1.0)],
    'g{pod="b",zone="x"}': [(-5.0, 4.0)],
    'g{pod="c",zone="y"}': [(-5.0, 10.0)],
    'h{pod="c",zone="y"}': [(-5.0, 30.0)],
}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("sum(g)", {"": 15.0}),
        ("avg(g)", {"": 5.0}),
        ("min(g)", {"": 1.0}),
        ("max(g)", {"": 10.0}),
        ("count(g)", {"": 3.0}),
        ("sum by (zone) (g)", {"zone=x": 5.0, "zone=y": 10.0}),
        ("sum without (pod) (g)", {"zone=x": 5.0, "zone=y": 10.0}),
        ("avg by (zone, nothing) (g)", {"zone=x": 2.5, "zone=y": 10.0}),
        ("sum by () (g)", {"": 15.0}),
        ('count without (pod) ({zone="y"})', {"zone=y": 2.0}),
        ('sum by (__name__, zone) ({zone="y"}) * 1', {"": None}),
        ("max(missing)", {"": None}),
        ("stddev(g * 0 + 0.1)", {"": 0.0}),
        ("stdvar(g * 0 + 1795573276.848)", {"": 0.0}),
        ("stdvar(g)", {"": 14.0}),
    ],
)
def test_an_aggregation(expr: str, expected: dict[str, float | None]) -> None:
    assert ask(expr, SERIES) == expected


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("sum", [1e100, 1.0, -1e100], 1.0),
        ("avg", [1e100, 3.0, -1e100], 1.0),
        ("avg", [1.7e308, 1.7e308], 1.7e308),
        ("sum", [1.7e308, 1.7e308, 1.0], None),
        ("sum", [1.0, INF], None),
        ("sum", [-INF, INF], None),
        ("min", [NAN, 2.0, 3.0], 2.0),
        ("max", [NAN, 2.0, 3.0], 3.0),
        ("max", [NAN], None),
        ("max", [-INF, NAN, -2.0], -2.0),
        ("count", [NAN, 2.0], 2.0),
        ("avg", [NAN, 2.0], None),
    ],
)
def test_odd_numbers(operator: str, values: list[float], expected: float | None) -> None:
    series = {f'g{{n="{place}"}}': [(-5.0, number)] for place, number in enumerate(values)}
    assert ask(f"{operator}(g)", series) == {"": expected}


def test_one_group_does_not_spoil_another() -> None:
    series = {'g{a="1",n="1"}': [(-5.0, NAN)], 'g{a="2",n="1"}': [(-5.0, 0.1)], 'g{a="2",n="2"}': [(-5.0, 0.2)]}
    assert ask("sum by (a) (g)", series) == {"a=1": None, "a=2": 0.1 + 0.2}


@settings(deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64, max_value=1e280, min_value=-1e280)),
    seed=st.integers(0, 1000),
)
def test_sums_are_exact_and_do_not_depend_on_the_order(values: list[float], seed: int) -> None:
    numbers = np.array(values, np.float64)
    groups = np.array([place % 3 for place in range(len(values))], np.intp)
    found = sum_groups(numbers, groups, 3)
    order = np.array(Random(seed).sample(range(len(values)), len(values)), np.intp)
    assert sum_groups(numbers[order], groups[order], 3).tobytes() == found.tobytes()
    for group in range(3):
        exact = sum((Fraction(value) for value in values[group::3]), Fraction(0))
        assert found[group] == pytest.approx(float(exact), rel=1e-15, abs=0.0)


@pytest.mark.parametrize("count", [1, 127, 128, 129, 300])
def test_few_values_and_many_are_summed_alike(count: int) -> None:
    random = Random(count)
    values = np.array([random.uniform(-1, 1) * 10 ** random.randrange(-9, 9) for _ in range(count)])
    groups = np.array([random.randrange(4) for _ in range(count)], np.intp)
    expected = [math.fsum(values[groups == group].tolist()) for group in range(4)]
    assert sum_groups(values, groups, 4) == pytest.approx(expected, rel=1e-15, abs=0.0)
    assert sum_groups(values, np.zeros(count, np.intp), 1) == pytest.approx([math.fsum(values)], rel=1e-15, abs=0.0)


def test_a_sum_of_very_many_is_as_exact() -> None:
    random = Random(1)
    values = [random.uniform(-1, 1) * 10 ** random.randrange(-20, 20) for _ in range(50_000)]
    assert sum_groups(np.array(values), np.zeros(len(values), np.intp), 1)[0] == math.fsum(values)

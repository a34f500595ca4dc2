"""Aggregations that rank or choose, by hand."""

import pytest

from tests.unit.promql_cases import NAN, ask, value

SERIES = {
    'g{pod="a",zone="x"}': [(-5.0, 3.0)],
    'g{pod="b",zone="x"}': [(-5.0, NAN)],
    'g{pod="c",zone="x"}': [(-5.0, 1.0)],
    'g{pod="d",zone="y"}': [(-5.0, 3.0)],
}


@pytest.mark.parametrize(
    ("expr", "pods"),
    [
        ("topk(1, g)", "a"),
        ("topk(2, g)", "ad"),
        ("topk(3.9, g)", "acd"),
        ("topk(100, g)", "abcd"),
        ("topk(0, g)", ""),
        ("topk(-1, g)", ""),
        ("topk by (zone) (1, g)", "ad"),
        ("topk without (pod) (2, g)", "acd"),
        ("bottomk(1, g)", "c"),
        ("bottomk(3, g)", "acd"),
        ("bottomk by (zone) (1, g)", "cd"),
        ("limitk(2, g)", "ab"),
        ("limitk by (zone) (1, g)", "ad"),
        ("topk(scalar(missing), g)", ""),
        ("topk(1e300, g)", ""),
    ],
)
def test_elements_are_chosen_and_stay_what_they_are(expr: str, pods: str) -> None:
    assert {key[4] for key in ask(expr, SERIES) if key} == set(pods)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ('quantile(0.5, g{pod!="b"})', 3.0),
        ('quantile(0.25, g{pod!="b"})', 2.0),
        ("quantile(1, g)", 3.0),
        ("quantile(0, g)", None),
        ("-1 * quantile(2, g)", None),
        ("group(g)", 1.0),
        ('stddev(g{pod!="b"})', (8 / 9) ** 0.5),
        ('stdvar(g{pod!="b"})', 8 / 9),
        ("stdvar(g)", None),
        ("stdvar(missing)", None),
        ('quantile(0.5, g{pod="none"})', None),
    ],
)
def test_a_number_of_a_group(expr: str, expected: float | None) -> None:
    assert value(expr, SERIES) == (None if expected is None else pytest.approx(expected, rel=1e-15))


def test_values_are_counted_by_group() -> None:
    assert ask('count_values by (zone) ("v", g)', SERIES) == {
        "v=3,zone=x": 1.0,
        "v=NaN,zone=x": 1.0,
        "v=1,zone=x": 1.0,
        "v=3,zone=y": 1.0,
    }

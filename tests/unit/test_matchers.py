"""Matchers mean what Prometheus means by them."""

import pytest

from streams.series.matchers import Matcher, MatchOp, matches_all, metric_name_of
from streams.series.regexes import RegexError


@pytest.mark.parametrize(
    ("op", "pattern", "value", "expected"),
    [
        ("=", "a", "a", True),
        ("=", "", "", True),
        ("!=", "a", "", True),
        ("=~", "5..", "503", True),
        ("=~", "5", "503", False),
        ("=~", "a|b", "b", True),
        ("=~", "a|b", "ab", False),
        ("=~", ".*", "", True),
        ("=~", ".+", "", False),
        ("=~", "a.c", "a\nc", True),
        ("=~", "(?i)get", "GeT", True),
        ("=~", "(?i:get)x", "GETx", True),
        ("=~", "a$", "a\n", False),
        ("=~", r"a\z", "a", True),
        ("=~", "^a$", "a", True),
        ("=~", r"\d+", "١٢", False),
        ("=~", r"\QA.B\E+", "A.BB", True),
        ("=~", r"\Qa.b", "a.b", True),
        ("=~", r"\x{e9}t\x41", "étA", True),
        ("=~", "[[:digit:]a]+", "1a2", True),
        ("=~", "[]a]+", "]a", True),
        ("=~", "[^]a]", "b", True),
        ("=~", "[a[&&b~~|]+", "a[&b~|", True),
        ("=~", "[$]", "$", True),
        ("=~", "(?P<x>a)(?<y>b)", "ab", True),
        ("=~", r"/v1/[\w.-]+\.json", "/v1/a-b.json", True),
        ("=~", "a{2,3}?b", "aab", True),
        ("!~", "5..", "200", True),
        ("!~", "5..", "500", False),
    ],
)
def test_a_matcher_answers_as_prometheus(op: MatchOp, pattern: str, value: str, expected: bool) -> None:
    assert Matcher("code", op, pattern).matches(value) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a(?=b)",
        "(?!a)",
        "(?<=a)b",
        r"(a)\1",
        "(?P=a)",
        "(?>a)",
        "a++",
        "a*+",
        "(?U)a",
        "[a",
        "[[:nope:]]",
        r"\p{Greek}",
    ],
)
def test_what_re2_refuses_is_refused_with_the_pattern(pattern: str) -> None:
    with pytest.raises(RegexError, match="regular expression"):
        Matcher("code", "=~", pattern)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(RegexError, match="expected ="):
        Matcher("code", "==", "a")  # type: ignore[arg-type]


def test_equal_matchers_are_equal_and_hash_alike() -> None:
    assert len({Matcher("a", "=~", "b"), Matcher("a", "=~", "b"), Matcher("a", "=", "b")}) == 2


def test_a_selector_matches_absent_labels_as_empty() -> None:
    selector = (Matcher("__name__", "=", "up"), Matcher("job", "!=", "x"))
    assert matches_all(selector, {"__name__": "up"})
    assert not matches_all(selector, {"__name__": "up", "job": "x"})


def test_the_metric_name_is_known_only_by_equality() -> None:
    assert metric_name_of((Matcher("job", "=", "a"), Matcher("__name__", "=", "up"))) == "up"
    assert metric_name_of((Matcher("__name__", "=~", "up|down"),)) is None

"""What is taken as an expression, what is refused and what is said about it."""

import pytest

from streams.promql.expression import Aggregation, Binary, Call, Matching, Negation, Number, Selector
from streams.promql.parse import PromqlError, parse_expression, selectors_of, type_of
from streams.series.matchers import Matcher

REQUESTS = Matcher("__name__", "=", "requests")


def test_an_expression_becomes_nodes() -> None:
    text = 'histogram_quantile(0.95, sum by (le) (rate(requests{code=~"5.."}[5m] offset 1m))) * 1000'
    selector = Selector((REQUESTS, Matcher("code", "=~", "5..")), 300_000, 60_000)
    summed = Aggregation("sum", Call("rate", (selector,)), ("le",), without=False)
    quantile = Call("histogram_quantile", (Number.of(0.95), summed))
    assert parse_expression(text) == Binary("*", quantile, Number.of(1000.0), Matching())
    assert selector.reach_ms == 360_000


def test_equal_texts_are_equal_nodes() -> None:
    assert hash(parse_expression("-sum(a{b='c'})")) == hash(parse_expression('- sum(a{b="c"})'))
    assert parse_expression("0") != parse_expression("-0")
    assert parse_expression("NaN") == parse_expression("nan")
    assert isinstance(parse_expression("-a"), Negation)


def test_matching_is_kept() -> None:
    node = parse_expression("a * on (x, w) group_left (z) b")
    assert isinstance(node, Binary)
    assert node.matching == Matching(("w", "x"), on=True, many="left", include=("z",))
    node = parse_expression("a >= bool ignoring (x) group_right b")
    assert isinstance(node, Binary)
    assert node.as_bool
    assert node.matching == Matching(("x",), on=False, many="right")


def test_selectors_are_found_once_each() -> None:
    text = 'sum(rate(requests{code=~"5.."}[5m])) / sum(rate(requests[5m])) + sum(rate(requests[5m])) * up'
    assert selectors_of(text) == (
        Selector((REQUESTS, Matcher("code", "=~", "5..")), 300_000),
        Selector((REQUESTS,), 300_000),
        Selector((Matcher("__name__", "=", "up"),)),
    )
    assert selectors_of("1 + 1") == ()


@pytest.mark.parametrize(
    ("text", "kind"), [("1 + 1", "scalar"), ("a + 1", "vector"), ("scalar(a) > bool 1", "scalar"), ("-a", "vector")]
)
def test_types_are_known(text: str, kind: str) -> None:
    assert type_of(parse_expression(text)) == kind


@pytest.mark.parametrize(
    ("text", "says", "position"),
    [
        ("", "is empty", None),
        ("sum(", "unclosed left parenthesis", None),
        ("a + + ^", "not a PromQL expression", None),
        ("bogus(a)", "unknown function", None),
        ("rate(a)", "expected type matrix", None),
        ("a > 1 > bool", "not a PromQL expression", None),
        ("1 > 2", "must use BOOL", None),
        ("a[5m]", "a range of samples is no indicator", None),
        ('"text"', "a text is no indicator", None),
        ("1 + info(a)", "function info is not supported: it joins series", 4),
        ("info(a) + info(b)", "function info is not supported", 0),
        ('b{x="info("} + info(a)', "function info is not supported", 15),
        ("limit_ratio(0.5, a)", "aggregation limit_ratio is not supported: it draws", 0),
        ("a[5m:1m]", "a range of samples is no indicator", None),
        ("sum(rate(a[1d:30s]))", "take 2880 evaluations at every step, at most 1440", 10),
        ("rate(rate(a[1h:1m])[1h:1m])", "take 3660 evaluations", 11),
        ("rate(a[5m:1m] @ 10)", "@ is not supported", 14),
        ("rate(a[5m:1m] offset -5m)", "looks into the future", 14),
        ("a @ 10", "@ is not supported", 2),
        ("a offset 1m + a offset -5m", "looks into the future", 16),
        ("count_values(1, a)", "string|text", None),
        ("label_replace(a, 'b', '', 'c', '(')", "regular expression", 0),
        ("label_join(a, '', '-')", "a label needs a name", 0),
        ("label_join(a, 'b')", "argument", None),
        ('a{b="1" or c="2"}', "`or` between matchers", 8),
        ("a + on (b) fill (0) c", "fill is not supported", 11),
        (r'a{b=~"\\pL"}', "regular expression", None),
        ("(" * 60 + "1" + ")" * 60, "nested deeper than 50", None),
        ("-" * 5000 + "a", "5000 operators", None),
        ("a" + " or a" * 300, "300 operators", None),
    ],
)
def test_what_cannot_be_computed_is_refused_with_the_reason(text: str, says: str, position: int | None) -> None:
    with pytest.raises(PromqlError, match=says) as caught:
        parse_expression(text)
    assert caught.value.position == position


def test_the_longest_expression_that_is_taken_is_evaluable() -> None:
    text = "sum(" * 49 + "a" + ")" * 49 + " + 1" * 199
    assert len(selectors_of(text)) == 1

"""Whatever stands in a budget file, it becomes budgets or mistakes, never another error; JSON says the same as YAML."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from budgets.spec.document import DocumentError
from budgets.spec.errors import BudgetError, Mistake
from budgets.spec.file_model import KEYS_OF, CustomKeys, keys_of
from budgets.spec.json_document import read_json
from budgets.spec.load import load_budgets
from budgets.spec.yaml_document import read_yaml

NAMES = sorted({*keys_of(CustomKeys), *KEYS_OF, "indicators", "p95", "p50", "depth", "max_depth", "min_rps", "p100"})
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**400, max_value=10**401),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["5m", "0s", "sum(rate(x[5m]))", "sum(", "ratio", "ms", 'job="a"', "$quantile", "UTC"]),
    st.text(max_size=10),
)
documents: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), inner, max_size=5),
        st.lists(inner, max_size=3),
    ),
    max_leaves=20,
)


def load(text: str, filename: str) -> None:
    mistakes: tuple[Mistake, ...] = ()
    indicators: list[int] = []
    try:
        indicators = [len(budget.indicators) for budget in load_budgets(text, filename, step_ms=15_000)]
    except BudgetError as error:
        mistakes = error.mistakes
    assert bool(mistakes) != bool(indicators)
    assert all(mistake.line >= 1 for mistake in mistakes)
    assert all(indicators)


@settings(deadline=None)
@given(document=st.dictionaries(st.sampled_from(["api", "shop"]), documents, max_size=2))
def test_any_document_is_budgets_or_mistakes(document: dict[str, Any]) -> None:
    load(json.dumps(document), "b.json")


@settings(deadline=None)
@given(text=st.text(max_size=200))
@example("a: 1e400")
@example("a: " + "9" * 5000)
@example('{"a": ' + "9" * 5000 + "}")
@example("a: {throughput: {min_rps: " + "9" * 400 + "}}")
@example("? ? a")
@example("\x00")
@example("a: &a\n  <<: *a")
def test_any_text_is_budgets_or_mistakes(text: str) -> None:
    load(text, "b.yaml")
    load(text, "b.json")


def plain(value: Any) -> Any:
    """Numbers as both formats write them: 1.0 and 1 are the same in JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


readable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


@settings(deadline=None)
@given(document=st.dictionaries(readable, st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9), readable),
    lambda inner: st.one_of(st.dictionaries(readable, inner, max_size=4), st.lists(inner, max_size=3)),
    max_leaves=15,
), max_size=4))  # fmt: skip
def test_json_says_the_same_when_it_is_read_as_yaml(document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2)
    assert read_json(text).plain() == document
    assert plain(read_yaml(text).plain()) == plain(document)


@settings(deadline=None)
@given(text=st.text(max_size=100))
def test_the_parsers_raise_only_their_own_error(text: str) -> None:
    for read in (read_json, read_yaml):
        with suppress(DocumentError):
            assert all(node.line >= 1 for node in read(text).walk())

"""Selectors and series meet, whichever of them is there first and whatever either names."""

from collections.abc import Sequence

import pytest

from streams.series.index import SeriesIndex
from streams.series.matchers import Matcher
from streams.series.selection import Selection
from streams.wire.labels import encode_labels

SERIES = (
    {"__name__": "requests_total", "service": "auth"},
    {"__name__": "requests_total", "service": "cart"},
    {"__name__": "errors_total", "service": "auth"},
    {"__name__": "errors_total"},
    {"service": "auth"},
)
SELECTORS = (
    ((Matcher("__name__", "=", "requests_total"), Matcher("service", "=", "auth")), [0]),
    ((Matcher("__name__", "=", "errors_total"),), [2, 3]),
    ((Matcher("service", "=", "auth"),), [0, 2, 4]),
    ((Matcher("__name__", "=~", "(requests|errors)_total"), Matcher("service", "=", "auth")), [0, 2]),
    ((Matcher("__name__", "!=", "errors_total"), Matcher("service", "=~", ".+")), [0, 1, 4]),
    ((Matcher("__name__", "=", ""), Matcher("service", "=", "auth")), [4]),
    ((Matcher("__name__", "=", "errors_total"), Matcher("service", "=", "")), [3]),
)


def add_all(index: SeriesIndex, selection: Selection) -> None:
    for series in SERIES:
        labels = tuple(sorted(series.items()))
        row = index.add(encode_labels(series), labels)
        selection.take(row, series)


@pytest.mark.parametrize("selector_first", [True, False])
@pytest.mark.parametrize(("matchers", "rows"), SELECTORS)
def test_a_selector_has_its_series_whichever_came_first(
    matchers: tuple[Matcher, ...], rows: Sequence[int], selector_first: bool
) -> None:
    index = SeriesIndex()
    selection = Selection(index)
    if selector_first:
        selection.members_of(matchers)
    add_all(index, selection)
    assert selection.members_of(matchers).rows.tolist() == rows


def test_a_selector_that_stays_in_use_goes_on_to_take_series() -> None:
    index = SeriesIndex()
    selection = Selection(index)
    for matchers, _ in SELECTORS:
        selection.members_of(matchers)
    selection.retain([SELECTORS[0][0]])
    add_all(index, selection)
    assert selection.members_of(SELECTORS[0][0]).rows.tolist() == SELECTORS[0][1]

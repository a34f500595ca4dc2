"""From the text of a test file to its groups and cases, or to everything that is wrong with it: file, line, key.

What promtool knows and Driftline does not evaluate is kept as such, so that nothing passes because it was ignored.
Whether services and indicators exist is `run.py`'s question: it has the budgets.
"""

from collections.abc import Iterator

from budgets.spec.document import Node
from budgets.spec.errors import Mistakes
from budgets.spec.load import read_document
from budgets.spec.values import parse_duration_ms
from budgets.unit_test.cases import CaseReader
from budgets.unit_test.fields import Fields
from budgets.unit_test.model import (
    DEFAULT_INTERVAL_MS,
    Case,
    Group,
    InputSeries,
    Place,
    TestFile,
    Unevaluated,
)
from streams.promql.series_notation import NotationError, parse_metric, parse_values
from streams.series.labels import METRIC_NAME, Labels

_FILE_KEYS = ("rule_files", "evaluation_interval", "fuzzy_compare", "group_eval_order", "budget_files", "tests")
_CASES = ("promql_expr_test", "indicator_test", "alert_test")
_GROUP_KEYS = ("name", "interval", "input_series", *_CASES)
# promtool's own: what it does and Driftline cannot.
_UNEVALUATED = {
    "alert_rule_test": "alerting rules are not evaluated; `budgets convert` makes budgets of them, for alert_test",
    "external_labels": "alerting rules are not evaluated, and nothing else reads it",
    "external_url": "alerting rules are not evaluated, and nothing else reads it",
}


def load_test_file(text: str, filename: str) -> TestFile:
    """The tests of a file.

    Raises:
        BudgetError: every mistake of it.
    """
    mistakes = Mistakes(filename)
    root = read_document(text, filename)
    for node in root.walk():
        for repeated in node.repeated:
            mistakes.add(repeated.line, repeated.path, "the key stands twice")
    fields = Fields(root, mistakes)
    fields.check_keys(_FILE_KEYS)
    interval_ms = fields.duration("evaluation_interval", DEFAULT_INTERVAL_MS) or DEFAULT_INTERVAL_MS
    fields.flag("fuzzy_compare")  # values compare with more tolerance than that anyway
    groups = [_Group(node, interval_ms, mistakes, index).read() for index, node in enumerate(fields.items("tests"))]
    found = TestFile(filename, interval_ms, fields.texts("rule_files"), fields.texts("budget_files"), tuple(groups))
    mistakes.raise_any()
    return found


class _Group:
    """Reads one item of `tests`."""

    def __init__(self, node: Node, interval_ms: int, mistakes: Mistakes, index: int) -> None:
        self._node = node
        self._fields = Fields(node, mistakes)
        self._mistakes = mistakes
        self._interval_ms = interval_ms
        self._index = index

    def read(self) -> Group:
        """The group; wrong parts are left out and noted."""
        fields = self._fields
        fields.check_keys((*_GROUP_KEYS, *_UNEVALUATED))
        cases = list(self._cases())
        alert_times = [
            parse_duration_ms(str(case.entries["eval_time"].value)) or 0
            for case in fields.items("alert_rule_test")
            if "eval_time" in case.entries
        ]
        return Group(
            name=fields.text("name") or f"unnamed#{self._index}",
            interval_ms=fields.duration("interval", 0) or self._interval_ms,
            series=tuple(self._series()),
            cases=tuple(cases),
            unevaluated=tuple(self._unevaluated()),
            latest_eval_ms=max([case.eval_time_ms for case in cases] + alert_times, default=0),
        )

    def _unevaluated(self) -> Iterator[Unevaluated]:
        for key, reason in _UNEVALUATED.items():
            node = self._node.entries.get(key)
            if node is not None and node.value:
                yield Unevaluated(Place(node.line, node.path), key, reason)

    def _series(self) -> Iterator[InputSeries]:
        seen: set[Labels] = set()
        for node in self._fields.items("input_series"):
            fields = Fields(node, self._mistakes)
            fields.check_keys(("series", "values"))
            series, values = fields.needed_text("series"), fields.needed_text("values")
            if series is None or values is None:
                continue
            key = "series"
            try:
                labels = parse_metric(series)
                key = "values"
                found = InputSeries(labels, tuple(parse_values(values)))
            except NotationError as error:
                fields.note(key, str(error))
                continue
            if METRIC_NAME not in dict(labels):
                fields.note("series", f"expected a metric name, got {series!r}")
            elif labels in seen:
                fields.note("series", f"the series {series} stands twice")
            else:
                seen.add(labels)
                yield found

    def _cases(self) -> Iterator[Case]:
        reader = CaseReader(self._mistakes)
        readers = (reader.expression, reader.indicator, reader.alerts)
        for key, read in zip(_CASES, readers, strict=True):
            for node in self._fields.items(key):
                case = read(Fields(node, self._mistakes))
                if case is not None:
                    yield case

"""The cases of a test file, one reader each: what is asked, and what is expected."""

import re
from collections.abc import Sequence
from typing import TypeVar, get_args

from budgets.event import AlertKind, Status
from budgets.spec.errors import Mistakes
from budgets.spec.model import Severity
from budgets.unit_test.fields import Fields
from budgets.unit_test.model import AlertCase, ExpectedAlert, ExpectedSample, ExpressionCase, IndicatorCase
from streams.native.histogram import NativeHistogram
from streams.promql.histogram_notation import parse_histogram
from streams.promql.parse import PromqlError, PromqlSyntaxError, parse_expression
from streams.promql.series_notation import NotationError, parse_metric
from streams.series.labels import Labels

_NO_FINITE = re.compile(r"\.?nan|[-+]?\.?inf", re.IGNORECASE)
_ABSENT = "absent"
_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# What is resolved is not open.
_STATUSES: tuple[Status, ...] = ("pending", "firing", "stale")

Word = TypeVar("Word", bound=str)


class CaseReader:
    """Reads cases; None = it is wrong, which is noted."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes

    def expression(self, fields: Fields) -> ExpressionCase | None:
        """An item of `promql_expr_test`."""
        before = len(self._mistakes)
        fields.check_keys(("expr", "eval_time", "exp_samples"))
        expr = fields.needed_text("expr")
        if expr is not None:
            try:
                parse_expression(expr)
            except PromqlSyntaxError as error:
                fields.note("expr", str(error))
            except PromqlError:
                pass  # promtool's to know, not evaluated here: said when the tests run
        expected = [self._sample(Fields(node, self._mistakes)) for node in fields.items("exp_samples")]
        found = [sample for sample in expected if sample is not None]
        labels = [sample.labels for sample in found]
        if len(set(labels)) < len(labels):
            fields.note("exp_samples", "two samples have the same labels, expected each once")
        if expr is None or len(self._mistakes) > before:
            return None
        return ExpressionCase(fields.place, fields.duration("eval_time", 0), expr, tuple(found))

    def _sample(self, fields: Fields) -> ExpectedSample | None:
        fields.check_keys(("labels", "value", "histogram"))
        labels = self._metric(fields, "labels")
        value = self._value(fields)
        return None if value is None or labels is None else ExpectedSample(labels, value)

    def _value(self, fields: Fields) -> float | NativeHistogram | None:
        histogram = fields.text("histogram")
        if not histogram:
            # promtool takes a missing value for 0.
            return self._number(fields, "value") if fields.get("value") else 0.0
        try:
            return parse_histogram(histogram).measured()
        except ValueError as error:
            fields.note("histogram", str(error))
            return None

    def indicator(self, fields: Fields) -> IndicatorCase | None:
        """An item of `indicator_test`."""
        before = len(self._mistakes)
        fields.check_keys(("service", "indicator", "eval_time", "labels", "exp_value"))
        service, indicator = fields.needed_text("service"), fields.needed_text("indicator")
        labels = self._labels(fields, "labels")
        expected = None
        node = fields.get("exp_value")
        if node is None:
            fields.note("exp_value", f"missing, expected a number, NaN, Inf, or {_ABSENT} for no data")
        elif node.value != _ABSENT:
            expected = self._number(fields, "exp_value", f", or {_ABSENT} for no data")
        eval_time_ms = fields.duration("eval_time", 0)
        if service is None or indicator is None or len(self._mistakes) > before:
            return None
        return IndicatorCase(fields.place, eval_time_ms, service, indicator, labels, expected)

    def alerts(self, fields: Fields) -> AlertCase | None:
        """An item of `alert_test`."""
        before = len(self._mistakes)
        fields.check_keys(("service", "indicator", "eval_time", "exp_alerts"))
        service, indicator = fields.needed_text("service"), fields.text("indicator")
        eval_time_ms = fields.duration("eval_time", 0)
        alerts = [self._alert(Fields(node, self._mistakes), indicator) for node in fields.items("exp_alerts")]
        if "exp_alerts" not in fields.node.entries:
            fields.note("exp_alerts", "missing, expected a list of alerts; [] = none is open")
        found = [alert for alert in alerts if alert is not None]
        keys = [(alert.kind, alert.indicator, alert.labels) for alert in found]
        if len(set(keys)) < len(keys):
            fields.note("exp_alerts", "the same alert stands twice")
        if service is None or len(self._mistakes) > before:
            return None
        return AlertCase(fields.place, eval_time_ms, service, indicator, tuple(found))

    def _alert(self, fields: Fields, indicator: str | None) -> ExpectedAlert | None:
        fields.check_keys(("kind", "indicator", "severity", "status", "labels"))
        kind = self._word(fields, "kind", _KINDS, "budget")
        severity = self._word(fields, "severity", _SEVERITIES, None)
        status = self._word(fields, "status", _STATUSES, "firing")
        labels = self._labels(fields, "labels") or ()
        name = fields.text("indicator") or indicator
        if name is None:
            fields.note("indicator", "missing, expected the name of an indicator")
        elif indicator is not None and name != indicator:
            fields.note("indicator", f"expected {indicator}, the only one that is asked for, got {name}")
        if kind is None or severity is None or status is None or name is None:
            return None
        return ExpectedAlert(kind, name, severity, status, tuple(pair for pair in labels if pair[0] != "service"))

    def _word(self, fields: Fields, key: str, words: Sequence[Word], default: Word | None) -> Word | None:
        text = fields.text(key)
        if text is None and default is not None:
            return default
        for word in words:
            if text == word:
                return word
        fields.note(key, f"expected one of {', '.join(words)}, got {'nothing' if text is None else repr(text)}")
        return None

    def _number(self, fields: Fields, key: str, more: str = "") -> float | None:
        node = fields.get(key)
        value = node.value if node else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and _NO_FINITE.fullmatch(value):
            return float(value.replace(".", ""))
        fields.note(key, f"expected a number, NaN or Inf{more}, got {node.kind if node else 'nothing'}")
        return None

    def _metric(self, fields: Fields, key: str) -> Labels | None:
        try:
            return parse_metric(fields.text(key) or "")
        except NotationError as error:
            fields.note(key, str(error))
            return None

    def _labels(self, fields: Fields, key: str) -> Labels | None:
        """Labels as a mapping; None = not given."""
        node = fields.get(key)
        if node is None:
            return None
        pairs = []
        for name, child in Fields(node, self._mistakes).node.entries.items():
            if isinstance(child.value, str):
                pairs.append((name, child.value))
            else:
                self._mistakes.add(child.line, child.path, f"expected a text (quotes make it one), got {child.kind}")
        return tuple(sorted(pair for pair in pairs if pair[1]))

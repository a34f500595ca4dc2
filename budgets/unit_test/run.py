"""Runs the cases of a test file and holds what comes out against what is expected.

Pure: the budgets, and the names that rule files record, are read by whoever holds the files.
"""

import math
from collections.abc import Collection, Sequence

from budgets.spec.errors import Mistakes
from budgets.spec.model import IndicatorSpec, ServiceBudget
from budgets.unit_test.compare import labels_text, number_text, rows_of
from budgets.unit_test.model import (
    AlertCase,
    Case,
    ExpressionCase,
    Group,
    IndicatorCase,
    Outcome,
    Result,
    Row,
    TestFile,
)
from budgets.unit_test.obstacles import Obstacles
from budgets.unit_test.play import Moment, play
from streams.frame import split_point_id
from streams.promql.evaluate import Series, evaluate
from streams.promql.parse import PromqlError, parse_expression
from streams.promql.vector import EvaluationError
from streams.series.labels import Labels, drop_name
from streams.wire.errors import WireError

_SHORTEST_STEP_MS, _LONGEST_STEP_MS = 1000, 300_000
# Minutes of computing; a quarter of a year at the default step of an installation.
_MOST_STEPS = 500_000
_KIND = {ExpressionCase: "promql_expr_test", IndicatorCase: "indicator_test", AlertCase: "alert_test"}
_ABSENT = "absent"


def run_tests(tests: TestFile, budgets: Sequence[ServiceBudget], recorded: Collection[str]) -> list[Result]:
    """Every case of a file with what became of it, group by group.

    Args:
        recorded: names of the series that the file's rule files would write; they are not computed here.

    Raises:
        BudgetError: a case asks for a service or an indicator that the budgets do not have.
    """
    _check_names(tests, budgets)
    results: list[Result] = []
    for group in tests.groups:
        running = _GroupRun(group, tests.evaluation_interval_ms, budgets, recorded)
        results += [running.result(case) for case in group.cases]
        results += [
            Result(group.name, gap.what, gap.what, gap.place, None, "not_evaluated", gap.reason)
            for gap in group.unevaluated
        ]
    return results


def _check_names(tests: TestFile, budgets: Sequence[ServiceBudget]) -> None:
    mistakes = Mistakes(tests.filename)
    known = {budget.service: {spec.name for spec in budget.indicators} for budget in budgets}
    for case in (case for group in tests.groups for case in group.cases if not isinstance(case, ExpressionCase)):
        line, path = case.place.line, case.place.path
        if not _SHORTEST_STEP_MS <= tests.evaluation_interval_ms <= _LONGEST_STEP_MS:
            mistakes.add(1, "evaluation_interval", "it is the step here, expected 1s to 5m")
        elif case.eval_time_ms > _MOST_STEPS * tests.evaluation_interval_ms:
            mistakes.add(line, f"{path}.eval_time", f"more than {_MOST_STEPS} steps after the start")
        if case.service not in known:
            names = ", ".join(sorted(known)) or "none: the file names no budget_files"
            mistakes.add(line, f"{path}.service", f"no budget of {case.service!r}, there are {names}")
        elif case.indicator is not None and case.indicator not in known[case.service]:
            names = ", ".join(sorted(known[case.service]))
            text = f"{case.service} has no indicator {case.indicator!r}, expected one of {names}"
            mistakes.add(line, f"{path}.indicator", text)
    mistakes.raise_any()


class _GroupRun:
    """Runs the cases of one group."""

    def __init__(self, group: Group, step_ms: int, budgets: Sequence[ServiceBudget], recorded: Collection[str]) -> None:
        self._group = group
        self._step_ms = step_ms
        self._budgets = budgets
        self._specs = {spec.id: spec for budget in budgets for spec in budget.indicators}
        self._obstacles = Obstacles(recorded)
        self._series = _samples(group)
        # promtool's rule: samples are there up to the last evaluation, not up to the time that is asked about.
        until = group.latest_eval_ms // step_ms * step_ms
        self._loaded = [(labels, [pair for pair in pairs if pair[0] <= until]) for labels, pairs in self._series]
        self._moments: dict[int, Moment] | None = None

    def result(self, case: Case) -> Result:
        """One case."""
        outcome: Outcome = "not_evaluated"
        rows: tuple[Row, ...] = ()
        reason = ""
        try:
            if isinstance(case, ExpressionCase):
                rows = self._expression(case)
            elif isinstance(case, IndicatorCase):
                rows = self._indicator(case)
            else:
                rows = self._alerts(case)
            outcome = "passed" if all(row.agrees for row in rows) else "failed"
        except PromqlError as error:
            reason = str(error)
        except (EvaluationError, WireError) as error:
            outcome, reason = "failed", str(error)
        kind = _KIND[type(case)]
        return Result(self._group.name, kind, _subject(case), case.place, case.eval_time_ms, outcome, reason, rows)

    def _expression(self, case: ExpressionCase) -> tuple[Row, ...]:
        expression = parse_expression(case.expr)
        self._obstacles.refuse(expression)
        expected = {sample.labels: sample.value for sample in case.expected}
        elements = evaluate(expression, self._loaded, case.eval_time_ms)
        return rows_of(expected, {element.labels: element.value for element in elements})

    def _indicator(self, case: IndicatorCase) -> tuple[Row, ...]:
        spec = self._specs[f"{case.service}/{case.indicator}"]
        got = self._values(spec, self._step_of(case))
        if case.labels is None and len(got) > 1:
            rows = rows_of({}, got)
            return (
                Row("one element (labels say which)", _text(case.expected), f"{len(got)} elements", agrees=False),
                *rows,
            )
        labels = next(iter(got), ()) if case.labels is None else case.labels
        expected = {} if case.expected is None else {labels: case.expected}
        rows = rows_of(expected, {key: value for key, value in got.items() if key == labels})
        return rows or (Row(labels_text(labels), _ABSENT, _ABSENT, agrees=True),)

    def _values(self, spec: IndicatorSpec, step: int) -> dict[Labels, float]:
        """What is published of an indicator; where that is no data, NaN and infinities as they are."""
        published = self._moment(step).frame.points
        expression = parse_expression(spec.expr)
        raw = {drop_name(element.labels): element.value for element in evaluate(expression, self._series, step)}
        values = {
            labels: value for labels, value in raw.items() if isinstance(value, float) and not math.isfinite(value)
        }
        for point_id, value in zip(published.id, published.value, strict=True):
            query_id, labels = split_point_id(point_id)
            if query_id == spec.id and value is not None:
                values[tuple(sorted(labels.items()))] = value
        return values

    def _alerts(self, case: AlertCase) -> tuple[Row, ...]:
        expected = {
            f"{alert.kind} {alert.indicator} {labels_text(alert.labels)}": f"{alert.severity} {alert.status}"
            for alert in case.expected
        }
        got = {}
        for event in self._moment(self._step_of(case)).alerts:
            if event.service == case.service and case.indicator in {None, event.indicator}:
                labels = tuple(sorted(pair for pair in event.labels.items() if pair[0] != "service"))
                got[f"{event.kind} {event.indicator} {labels_text(labels)}"] = f"{event.severity} {event.status}"
        return tuple(
            Row(what, expected.get(what), got.get(what), agrees=expected.get(what) == got.get(what))
            for what in sorted(expected.keys() | got.keys())
        )

    def _step_of(self, case: Case) -> int:
        """The latest step that a case can know of."""
        return case.eval_time_ms // self._step_ms * self._step_ms

    def _moment(self, step: int) -> Moment:
        if self._moments is None:
            for spec in self._specs.values():
                for expr in filter(None, (spec.expr, spec.weight_expr)):
                    self._obstacles.refuse(parse_expression(expr))
            cases = [case for case in self._group.cases if not isinstance(case, ExpressionCase)]
            wanted = {self._step_of(case) for case in cases}
            self._moments = play(self._series, self._budgets, self._step_ms, wanted)
        return self._moments[step]


def _samples(group: Group) -> list[Series]:
    """The samples of a group's series."""
    return [
        (
            dict(series.labels),
            [(index * group.interval_ms, value) for index, value in enumerate(series.values) if value is not None],
        )
        for series in group.series
    ]


def _subject(case: Case) -> str:
    if isinstance(case, ExpressionCase):
        return case.expr
    if isinstance(case, IndicatorCase):
        return f"{case.service}/{case.indicator}{labels_text(case.labels) if case.labels else ''}"
    return case.service if case.indicator is None else f"{case.service}/{case.indicator}"


def _text(value: float | None) -> str:
    return _ABSENT if value is None else number_text(value)

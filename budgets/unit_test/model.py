"""What a test file says once it is read: groups of series, and cases that ask something of them at a time.

Times are milliseconds after the start of the test, which is Unix time 0 as in promtool.
"""

from dataclasses import dataclass
from typing import Literal

from budgets.event import AlertKind, Status
from budgets.spec.model import Severity
from streams.native.histogram import NativeHistogram
from streams.promql.series_notation import SeriesValue
from streams.series.labels import Labels

DEFAULT_INTERVAL_MS = 60_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the file."""

    line: int
    path: str


@dataclass(frozen=True, slots=True)
class InputSeries:
    """A series; `values` are one interval apart, from time 0 on."""

    labels: Labels
    values: tuple[SeriesValue, ...]


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    """An element of a result."""

    labels: Labels
    value: float | NativeHistogram


@dataclass(frozen=True, slots=True)
class ExpressionCase:
    """`promql_expr_test`: an expression's whole result at a time."""

    place: Place
    eval_time_ms: int
    expr: str
    expected: tuple[ExpectedSample, ...]


@dataclass(frozen=True, slots=True)
class IndicatorCase:
    """`indicator_test`: an indicator's value at the step at or before a time.

    labels: which of its elements; None = it has one. expected: None = no data.
    """

    place: Place
    eval_time_ms: int
    service: str
    indicator: str
    labels: Labels | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """An open alert. labels: all of them but `service`, sorted by name."""

    kind: AlertKind
    indicator: str
    severity: Severity
    status: Status
    labels: Labels


@dataclass(frozen=True, slots=True)
class AlertCase:
    """`alert_test`: every open alert of a service at the step at or before a time.

    indicator: only those of this indicator; None = of all.
    """

    place: Place
    eval_time_ms: int
    service: str
    indicator: str | None
    expected: tuple[ExpectedAlert, ...]


Case = ExpressionCase | IndicatorCase | AlertCase


@dataclass(frozen=True, slots=True)
class Unevaluated:
    """Something that promtool tests and Driftline does not, and why."""

    place: Place
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """One item of `tests`."""

    name: str
    interval_ms: int
    series: tuple[InputSeries, ...]
    cases: tuple[Case, ...]
    unevaluated: tuple[Unevaluated, ...]
    latest_eval_ms: int


@dataclass(frozen=True, slots=True)
class TestFile:
    """One test file.

    rule_files, budget_files: as written, relative to the file; patterns are allowed.
    evaluation_interval_ms: the step.
    """

    __test__ = False  # its name makes pytest curious

    filename: str
    evaluation_interval_ms: int
    rule_files: tuple[str, ...]
    budget_files: tuple[str, ...]
    groups: tuple[Group, ...]


Outcome = Literal["passed", "failed", "not_evaluated"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was expected, or came, or both. None = not."""

    what: str
    expected: str | None
    got: str | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case.

    kind: the key that it stands under in the file. what: the expression, or the service and the indicator.
    reason: why it failed without a comparison, or was not evaluated.
    """

    group: str
    kind: str
    what: str
    place: Place
    eval_time_ms: int | None
    outcome: Outcome
    reason: str = ""
    rows: tuple[Row, ...] = ()

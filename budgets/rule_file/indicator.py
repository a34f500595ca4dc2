"""One value with the alerts about it, and what a budget file says of them together."""

import re
from dataclasses import dataclass, field
from typing import Literal

from budgets.rule_file.condition import Condition
from budgets.rule_file.levels import Thresholds, is_beyond, thresholds_of
from budgets.rule_file.model import Remark, Rule
from budgets.rule_file.names import unit_of
from budgets.rule_file.write import Keys
from budgets.spec.values import format_duration
from streams.promql.expression import Binary, Expression, walk
from streams.promql.functions import COMPARISONS

Level = Literal["warning", "critical"]
_FILTERS = COMPARISONS | {"and", "unless"}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
# Text that Prometheus fills in when the alert fires.
_TEMPLATE = "{{"
_SAID_OTHERWISE = frozenset({"severity", "service"})


@dataclass(slots=True)
class Indicator:
    """The alerts of one value, by level."""

    service: str
    condition: Condition
    alerts: dict[Level, tuple[Rule, Condition]] = field(default_factory=dict)

    def takes(self, service: str, condition: Condition, level: Level) -> bool:
        """Whether an alert is about the same value, at a level that is still free and in the right order."""
        same = (self.service, self.condition.expression, self.condition.direction)
        if len(self.alerts) > 1 or level in self.alerts:
            return False
        if same != (service, condition.expression, condition.direction):
            return False
        ((other, (_, known)),) = self.alerts.items()
        bounds: dict[Level, float] = {level: condition.bound, other: known.bound}
        return not is_beyond(condition.direction, bounds["warning"], bounds["critical"])

    @property
    def rules(self) -> list[Rule]:
        """Its alerts, the critical one first."""
        levels: tuple[Level, ...] = ("critical", "warning")
        return [self.alerts[level][0] for level in levels if level in self.alerts]

    def keys(self) -> tuple[Keys, list[Remark]]:
        """What the file says, and what is not exactly as in the rules.

        Raises:
            NotTakenError: no budget can say it.
        """
        remarks: list[Remark] = []
        bounds = {level: condition.bound for level, (_, condition) in self.alerts.items()}
        thresholds = thresholds_of(self.condition.direction, bounds.get("warning"), bounds.get("critical"))
        if not thresholds.has_own_critical:
            at = thresholds.limit * thresholds.critical
            text = f"no critical alert about the same value: critical at {at:g} unless you change critical_threshold"
            remarks.append(self._remark(text))
        if any(_may_remove(node) for node in walk(self.condition.expression)):
            text = (
                "its value is filtered: where the filter leaves nothing there is no data, which is an alert of its own"
            )
            remarks.append(self._remark(text))
        entries: dict[str, object] = {
            "expr": self.condition.expr,
            "unit": unit_of(self.condition.expression),
            **self._limit(thresholds),
            "for": format_duration(self._shorter_for(remarks)),
            "keep_firing_for": format_duration(max(rule.keep_firing_for_ms for rule in self.rules)),
            **self._runbook(remarks),
            **self._labels(remarks),
        }
        comments = tuple(
            f"{rule.name}, line {rule.line}: {level} {condition.written}"
            for level, (rule, condition) in self.alerts.items()
        )
        return Keys(entries, comments), remarks

    def _remark(self, text: str) -> Remark:
        return Remark(self.rules[0], text, was_taken=True)

    def _limit(self, thresholds: Thresholds) -> dict[str, object]:
        return {
            "max" if self.condition.direction == "above" else "min": thresholds.limit,
            "warning_threshold": thresholds.warning,
            "critical_threshold": thresholds.critical,
        }

    def _shorter_for(self, remarks: list[Remark]) -> int:
        durations = sorted({rule.for_ms for rule in self.rules})
        if len(durations) > 1:
            short, long = (format_duration(duration) for duration in durations)
            remarks.append(self._remark(f"one level waits {long} and the other {short}: both wait {short} now"))
        return durations[0]

    def _runbook(self, remarks: list[Remark]) -> dict[str, object]:
        found = [url for rule in self.rules if (url := rule.annotations.get("runbook_url"))]
        if not found:
            return {}
        if _TEMPLATE in found[0] or not _URL.fullmatch(found[0]):
            remarks.append(self._remark("its runbook_url is no plain address, and is left out"))
            return {}
        if len(set(found)) > 1:
            remarks.append(self._remark(f"several addresses of a runbook: {found[0]} is taken"))
        return {"runbook_url": found[0]}

    def _labels(self, remarks: list[Remark]) -> dict[str, object]:
        kept: dict[str, str] = {}
        left_out: set[str] = set()
        for rule in self.rules:
            for name, value in rule.labels.items():
                if name in _SAID_OTHERWISE:
                    continue
                if _TEMPLATE in value or not _LABEL_NAME.fullmatch(name) or kept.get(name, value) != value:
                    left_out.add(name)
                else:
                    kept[name] = value
        if left_out:
            names = ", ".join(sorted(left_out))
            remarks.append(self._remark(f"left out labels that are templates or differ between levels: {names}"))
        kept = {name: value for name, value in kept.items() if name not in left_out}
        return {"labels": kept} if kept else {}


def _may_remove(node: Expression) -> bool:
    return isinstance(node, Binary) and node.operator in _FILTERS and not node.as_bool

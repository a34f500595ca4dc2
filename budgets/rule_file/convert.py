"""Alerting rules as indicators with limits. Each is tried as a budget file of its own before it is taken.

Two alerts about the same value, one a warning and one critical, are one indicator with both levels. What a budget
cannot say is not bent until it fits: the rule is left out, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from budgets.rule_file.condition import split_condition
from budgets.rule_file.indicator import Indicator, Level
from budgets.rule_file.inline import Recordings
from budgets.rule_file.model import NotTakenError, Remark, Rule
from budgets.rule_file.names import indicator_name, service_of, unique
from budgets.rule_file.write import Keys, write_budgets, write_file
from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets

_WARNING = frozenset({"warning", "warn", "minor", "ticket", "medium", "low"})
_CRITICAL = frozenset({"critical", "crit", "page", "error", "major", "high", "fatal", "emergency"})
_NOTICES = frozenset({"info", "information", "notice", "none", "debug"})
# The default of a running installation; nothing that is written here depends on it.
_STEP_MS = 15_000


@dataclass(frozen=True, slots=True)
class Conversion:
    """A budget file, empty if no rule could be taken, and what a person must know of it.

    taken: how many rules are in it. indicators: as how many indicators.
    """

    text: str
    taken: int
    indicators: int
    remarks: tuple[Remark, ...]


def convert_rules(rules: Sequence[Rule], service: str | None = None) -> Conversion:
    """The budget file of the rules of one or several files.

    Args:
        service: of the rules that name none.
    """
    return _Converter(rules, service).convert()


class _Converter:
    """Converts one file."""

    def __init__(self, rules: Sequence[Rule], service: str | None) -> None:
        self._rules = rules
        self._service = service
        self._recordings = Recordings(rules)
        self._indicators: list[Indicator] = []
        self._remarks: list[Remark] = []

    def convert(self) -> Conversion:
        """Every rule, in its order."""
        for rule in (rule for rule in self._rules if rule.is_alert):
            try:
                self._take(rule)
            except NotTakenError as error:
                self._leave_out(rule, str(error))
        services: dict[str, dict[str, Keys]] = {}
        taken = 0
        for indicator in self._indicators:
            if self._write(indicator, services.setdefault(indicator.service, {})):
                taken += len(indicator.alerts)
        for rule in self._rules:
            if not rule.is_alert and rule.name not in self._recordings.used:
                self._leave_out(
                    rule, "recorded only: an indicator needs a limit, and no alert here compares it with one"
                )
        services = {name: indicators for name, indicators in services.items() if indicators}
        remarks = tuple(sorted(self._remarks, key=lambda remark: (remark.rule.filename, remark.rule.line)))
        files = list(dict.fromkeys(rule.filename for rule in self._rules))
        text = write_file(services, remarks, files) if services else ""
        return Conversion(text, taken, sum(len(indicators) for indicators in services.values()), remarks)

    def _leave_out(self, rule: Rule, reason: str) -> None:
        self._remarks.append(Remark(rule, reason))

    def _take(self, rule: Rule) -> None:
        condition = split_condition(self._recordings.inline(rule.expr))
        service = service_of(rule, condition.expression, self._service)
        level = self._level(rule)
        for indicator in self._indicators:
            if indicator.takes(service, condition, level):
                indicator.alerts[level] = (rule, condition)
                break
        else:
            self._indicators.append(Indicator(service, condition, {level: (rule, condition)}))
        self._remarks += [Remark(rule, f"without {key}", was_taken=True) for key in rule.unread]

    def _level(self, rule: Rule) -> Level:
        severity = rule.labels.get("severity", "").lower()
        if severity in _NOTICES:
            raise NotTakenError(f"severity {severity}, and a budget has warning and critical")
        if severity in _CRITICAL:
            return "critical"
        if severity not in _WARNING:
            what = f"severity {severity}" if severity else "no severity"
            self._remarks.append(Remark(rule, f"{what}: taken for a warning", was_taken=True))
        return "warning"

    def _write(self, indicator: Indicator, names: dict[str, Keys]) -> bool:
        """Put an indicator into its service; False = it cannot be, and that is said."""
        name = unique(indicator_name([rule.name for rule in indicator.rules]), names)
        try:
            keys, remarks = indicator.keys()
            name = _usable_name(indicator.service, name, keys)
        except NotTakenError as error:
            for rule in indicator.rules:
                self._leave_out(rule, str(error))
            return False
        names[name] = keys
        self._remarks += remarks
        return True


def _usable_name(service: str, name: str, keys: Keys) -> str:
    """The name, or a longer one where it is a well-known indicator's.

    Raises:
        NotTakenError: under no name it is an indicator; says what its budget file would be refused for.
    """
    reason = ""
    for candidate in (name, f"{name}_alert"):
        try:
            (budget,) = load_budgets(write_budgets({service: {candidate: keys}}), "rules.yaml", step_ms=_STEP_MS)
        except BudgetError as error:
            reason = reason or error.mistakes[0].text
            continue
        (spec,) = budget.indicators
        if spec.kind == "custom" and spec.expr == str(keys.entries["expr"]).strip():
            return candidate
        reason = reason or "its expression would be read with other words filled in"
    raise NotTakenError(reason)

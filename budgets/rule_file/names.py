"""What things of a rule file are called in a budget: the service, the indicator, the unit."""

import re
from collections.abc import Collection, Sequence
from itertools import takewhile

from budgets.rule_file.model import NotTakenError, Rule
from streams.promql.expression import Binary, Call, Expression, Number, selectors_in
from streams.series.matchers import metric_name_of

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_LEVEL_WORDS = frozenset({"warning", "warn", "critical", "crit", "page", "alert"})
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LONGEST_NAME = 90


def indicator_name(alerts: Sequence[str]) -> str:
    """A name from those of alerts about one value: the words that they have in common, without the level.

    >>> indicator_name(["HighLatencyCritical", "HighLatencyWarning"]), indicator_name(["HTTPErrors5xx"])
    ('high_latency', 'http_errors_5_xx')
    """
    words = [[word.lower() for word in _WORDS.findall(alert)] for alert in alerts]
    together = takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))
    common = [same[0] for same in together] or words[0]
    while len(common) > 1 and common[-1] in _LEVEL_WORDS:
        common.pop()
    name = "_".join(common)[:_LONGEST_NAME].strip("_") or "indicator"
    return name if name[0].isalpha() else f"alert_{name}"


def unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it where it is taken.

    >>> unique("a", {"a", "a_2"})
    'a_3'
    """
    if name not in taken:
        return name
    return next(other for number in range(2, len(taken) + 3) if (other := f"{name}_{number}") not in taken)


def service_of(rule: Rule, expression: Expression, default: str | None) -> str:
    """The service that a rule is about: its label, else what its selectors ask for, else the default.

    Raises:
        NotTakenError: it names none.
    """
    label = rule.labels.get("service", "")
    if _SERVICE_NAME.fullmatch(label):
        return label
    asked = {
        matcher.value
        for selector in selectors_in(expression)
        for matcher in selector.matchers
        if matcher.name == "service" and matcher.op == "=" and _SERVICE_NAME.fullmatch(matcher.value)
    }
    if len(asked) == 1:
        return asked.pop()
    if default is None:
        raise NotTakenError("names no service: give it a label service, or all of them one by --service")
    return default


def unit_of(expression: Expression) -> str:
    """The unit of a value, where its form tells: percentiles of conventional histograms. Else just `value`."""
    match expression:
        case Call(function="histogram_quantile", arguments=(_, buckets)):
            names = [metric_name_of(selector.matchers) or "" for selector in selectors_in(buckets)]
            return "s" if names and all(name.endswith("_seconds_bucket") for name in names) else "value"
        case Binary(operator="*", left=Call() as quantile, right=Number(value=1000.0)) if unit_of(quantile) == "s":
            return "ms"
        case _:
            return "value"

"""Recorded series put back into expressions: `job:errors:ratio` becomes what the rule records under this name.

A stream computes every part of an expression once anyway, so nothing is gained by recording. Where the text that comes
out would not mean the same, the rule is not taken.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from budgets.rule_file.condition import hide
from budgets.rule_file.model import NotTakenError, Rule
from streams.promql.expression import Call, Expression, Selector, Subquery, selectors_in, walk
from streams.promql.parse import PromqlError, parse_expression
from streams.series.matchers import metric_name_of

# Recorded from recorded from recorded: deeper is a circle.
_DEEPEST = 20
_BRACKETS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")


class Recordings:
    """The recorded series of a file, by name."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            if not rule.is_alert:
                self._rules.setdefault(rule.name, []).append(rule)
        self.used: set[str] = set()

    def inline(self, text: str) -> str:
        """The expression over series that are sent.

        Raises:
            NotTakenError: it cannot be put so, or not computed.
        """
        used: set[str] = set()
        for _ in range(_DEEPEST):
            expression = _parsed(text)
            found = {
                selector: self._rules.get(metric_name_of(selector.matchers) or "")
                for selector in selectors_in(expression)
            }
            past = _asked_for_their_past(expression)
            recorded = {
                selector: self._only(selector, rules, past=selector in past)
                for selector, rules in found.items()
                if rules
            }
            if not recorded:
                self.used |= used
                return text
            used |= {rule.name for rule in recorded.values()}
            expected = _substituted(expression, {selector: _parsed(rule.expr) for selector, rule in recorded.items()})
            for rule in recorded.values():
                text = _replaced(text, rule)
            if _parsed(text) != expected:
                raise NotTakenError("recorded series stand in it in a way that cannot be put into one expression")
        raise NotTakenError("recorded series are recorded from each other in a circle")

    @staticmethod
    def _only(selector: Selector, rules: list[Rule], *, past: bool) -> Rule:
        rule = rules[0]
        reason = ""
        if len(rules) > 1:
            reason = "is recorded by several rules"
        elif rule.labels:
            reason = "is recorded with labels of the rule's own"
        elif len(selector.matchers) > 1:
            reason = "is recorded, and some of its elements cannot be picked from the expression"
        elif past or selector.range_ms is not None or selector.offset_ms:
            reason = "is recorded, and its past is not kept"
        if reason:
            raise NotTakenError(f"{rule.name} {reason}")
        return rule


def _asked_for_their_past(expression: Expression) -> set[Selector]:
    """Selectors in subqueries, and those that are asked when they were recorded."""
    return {
        selector
        for node in walk(expression)
        if isinstance(node, Subquery) or (isinstance(node, Call) and node.function == "timestamp")
        for selector in selectors_in(node)
    }


def _parsed(text: str) -> Expression:
    try:
        return parse_expression(text)
    except PromqlError as error:
        raise NotTakenError(str(error)) from None


def _substituted(node: Expression, by: Mapping[Selector, Expression]) -> Expression:
    """The expression with selectors replaced."""
    if isinstance(node, Selector):
        return by.get(node, node)
    changed: dict[str, object] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Expression):
            changed[field.name] = _substituted(value, by)
        elif isinstance(value, tuple) and value and all(isinstance(item, Expression) for item in value):
            changed[field.name] = tuple(_substituted(item, by) for item in value)
    return replace(node, **changed) if changed else node  # type: ignore[arg-type]  # fields of the node itself


def _replaced(text: str, rule: Rule) -> str:
    """The text with a recorded name replaced, outside of quotes, comments, matchers and ranges."""
    visible = _BRACKETS.sub(lambda inside: inside[0][0] + " " * (len(inside[0]) - 2) + inside[0][-1], hide(text))
    name = re.compile(rf"(?<![\w:]){re.escape(rule.name)}(?![\w:])(?:\s*\{{\s*\}})?")
    inner = rule.expr.strip() + ("\n" if "#" in rule.expr else "")
    result, end = "", 0
    for found in name.finditer(visible):
        result += text[end : found.start()] + f"({inner})"
        end = found.end()
    return result + text[end:]

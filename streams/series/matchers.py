"""Matchers: one condition on one label. A selector is a tuple of them, the metric name under `__name__`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from streams.series.regexes import RegexError, compile_anchored

MatchOp = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is absent counts as empty, as in Prometheus.

    >>> Matcher("code", "=~", "5..").matches("503")
    True
    >>> Matcher("code", "=~", "5").matches("503")
    False

    Raises:
        RegexError: the value of `=~` or `!~` is not an RE2 pattern that can be kept to.
    """

    name: str
    op: MatchOp
    value: str
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.op not in {"=", "!=", "=~", "!~"}:
            raise RegexError(f"matcher of {self.name}: expected =, !=, =~ or !~, got {self.op!r}")
        pattern = compile_anchored(self.value) if self.op in {"=~", "!~"} else None
        object.__setattr__(self, "_pattern", pattern)

    def matches(self, value: str) -> bool:
        """Whether a label's value meets the condition; an absent label is given as the empty text."""
        if self._pattern is not None:
            return (self._pattern.fullmatch(value) is not None) == (self.op == "=~")
        return (value == self.value) == (self.op == "=")


def matches_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether a series with these labels is one of a selector's."""
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def metric_name_of(matchers: Iterable[Matcher]) -> str | None:
    """The metric name that a selector fixes by equality; None = it may match several names."""
    for matcher in matchers:
        if matcher.name == "__name__" and matcher.op == "=" and matcher.value:
            return matcher.value
    return None

"""The expressions of an indicator: its name's own, or those of the file with their placeholders filled in.

Both are parsed here, so that what a Meter could not compute exactly is refused when the file is read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from budgets.spec.errors import Mistakes
from budgets.spec.file_model import IndicatorKeys
from budgets.spec.indicators import WELL_KNOWN, Measure, Scope, quantile_of
from budgets.spec.structure import Place
from budgets.spec.values import format_duration
from streams.promql.expression import Selector, Subquery, reach_of, selectors_in, walk
from streams.promql.parse import PromqlError, parse_expression

# The samples log keeps six hours, and windows are rebuilt from it.
LONGEST_REACH_MS = 4 * 3_600_000
_PLACEHOLDER = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_NEAR = 24


@dataclass(frozen=True, slots=True)
class _Filled:
    """A text with its placeholders filled in, and where its pieces came from: (place here, place in the original)."""

    original: str
    text: str
    pieces: tuple[tuple[int, int, bool], ...]

    def place_of(self, position: int) -> int:
        """The place in the original of a place in the filled text."""
        start, origin, is_literal = max(piece for piece in self.pieces if piece[0] <= position)
        return origin + (position - start if is_literal else 0)


def fill(text: str, values: Mapping[str, str]) -> _Filled:
    """Replace `$name` and `${name}` by the values that there are; a `$` of a regular expression stays.

    >>> fill('rate(x{$selector}[$window]) > bool 0 and y{p=~"a$"}', {"selector": 'a="b"', "window": "5m"}).text
    'rate(x{a="b"}[5m]) > bool 0 and y{p=~"a$"}'
    """
    pieces: list[tuple[int, int, bool]] = [(0, 0, True)]
    filled, end = "", 0
    for match in _PLACEHOLDER.finditer(text):
        value = values.get(match[1] or match[2])
        if value is None:
            continue
        filled += text[end : match.start()]
        pieces.append((len(filled), match.start(), False))
        filled += value
        end = match.end()
        pieces.append((len(filled), end, True))
    return _Filled(text, filled + text[end:], tuple(pieces))


class Expressions:
    """Finds the expressions of one indicator; what is wrong with them is noted where it stands."""

    def __init__(self, place: Place, keys: IndicatorKeys, window_ms: int, mistakes: Mistakes) -> None:
        self._place = place
        self._keys = keys
        self._mistakes = mistakes
        self._window = format_duration(window_ms)
        self._quantile = quantile_of(place.percentile) if place.percentile else None
        self._usual = WELL_KNOWN.get(place.well_known or "")

    def measure(self) -> Measure | None:
        """Expression and weight; None = at least one of them is wrong or missing."""
        before = len(self._mistakes)
        selector = self._selector()
        if self._keys.expr is None:
            measure = self._default(selector)
        else:
            measure = Measure(self._own("expr", self._keys.expr, selector))
            if "group_by" in self._place.own:
                self._note("group_by", "no effect on an expr of your own, expected by (…) inside of it")
        if self._keys.weight_expr is not None and measure is not None:
            measure = Measure(measure.expr, self._own("weight_expr", self._keys.weight_expr, selector))
        return measure if len(self._mistakes) == before else None

    def _note(self, key: str, text: str) -> None:
        self._mistakes.add(*self._place.line_of(key), text)

    def _selector(self) -> str:
        """The matchers of the service's series, without braces."""
        text = self._keys.selector
        if text is None:
            scoped = self._usual is None or self._usual.scoped
            return f'service="{self._place.service}"' if scoped else ""
        inside = text.strip().removeprefix("{").removesuffix("}").strip().rstrip(",")
        inside = fill(inside, {"service": self._place.service}).text
        try:
            is_plain = not inside or isinstance(parse_expression(f"up{{{inside}}}"), Selector)
            reason = "" if is_plain else "not matchers alone"
        except PromqlError as error:
            reason = _message(error)
        if reason:
            self._note("selector", f'expected matchers such as job="auth-service", got {text!r}: {reason}')
            return ""
        return inside

    def _default(self, selector: str) -> Measure | None:
        if self._usual is None:
            self._note("expr", "missing, expected a PromQL expression")
            return None
        limit = next((key for key in self._usual.limits if key in self._place.keys), "")
        scope = Scope(selector, self._window, self._keys.group_by or ())
        measure = self._usual.measure(scope, self._quantile or limit)
        reach_ms = reach_of(parse_expression(measure.expr))
        if reach_ms > LONGEST_REACH_MS:
            self._note("window", _too_far(reach_ms))
        return measure

    def _own(self, key: str, text: str, selector: str) -> str:
        values = {"service": self._place.service, "selector": selector, "window": self._window}
        if self._quantile is not None:
            values["quantile"] = self._quantile
        filled = fill(text, values)
        unknown = _PLACEHOLDER.search(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), text))
        while unknown is not None and (unknown[1] or unknown[2]) in values:
            unknown = _PLACEHOLDER.search(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), text), unknown.end())
        if unknown is not None:
            known = ", ".join(f"${name}" for name in values)
            self._note(key, f"unknown placeholder {unknown[0]}{_at(text, unknown.start())}, expected one of {known}")
            return filled.text
        try:
            expression = parse_expression(filled.text)
        except PromqlError as error:
            place = "" if error.position is None else _at(text, filled.place_of(error.position))
            self._note(key, f"{_message(error)}{place}")
            return filled.text
        reach_ms = reach_of(expression)
        if not selectors_in(expression):
            self._note(key, "a constant, expected an expression that looks at series")
        if reach_ms > LONGEST_REACH_MS:
            self._note(key, _too_far(reach_ms))
        return filled.text


def longest_range_ms(expr: str) -> int:
    """The longest range that an expression looks back; 0 = it has none."""
    ranged = (node for node in walk(parse_expression(expr)) if isinstance(node, Selector | Subquery))
    return max((node.range_ms or 0 for node in ranged), default=0)


def _too_far(reach_ms: int) -> str:
    longest = format_duration(LONGEST_REACH_MS)
    return f"looks back {format_duration(reach_ms)}, expected at most {longest}: older samples are not kept"


def _message(error: PromqlError) -> str:
    """What is wrong, without the place: that one is counted in the text before filling in."""
    return str(error) if error.position is None else str(error).removesuffix(f" (at character {error.position + 1})")


def _at(text: str, position: int) -> str:
    near = text[position : position + _NEAR].splitlines()[0] if text[position:] else ""
    return f" at character {position + 1}" + (f", near {near!r}" if near else "")

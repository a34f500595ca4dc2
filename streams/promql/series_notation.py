"""Series as unit-test files of Prometheus write them: `up{job="api"}` and `1+2x10 _ stale`.

The notation is promtool's, so that one file serves both. Only text becomes values here; when each value is taken is
the test's business, and native histograms have their own file.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

from streams.native.histogram import NativeHistogram
from streams.promql.histogram_notation import parse_histogram, repeat
from streams.series.labels import METRIC_NAME, Labels
from streams.wire.samples import STALE_NAN

# More than any test needs, few enough to keep in memory.
MOST_VALUES = 1_000_000

# None = no sample at this time.
SeriesValue: TypeAlias = float | NativeHistogram | None

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|`([^`]*)`')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_PLAIN_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip

_NUMBER = r"(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
_ITEM = re.compile(rf"(?P<start>[-+]?{_NUMBER})(?P<by>[-+]{_NUMBER})?(?:x(?P<times>\d+))?")
_GAP = re.compile(r"_(?:x(?P<times>\d+))?")
# A native histogram may hold spaces, so it is cut out before the rest is split at them.
_PIECES = re.compile(r"\{\{.*?\}\}(?:[-+]\{\{.*?\}\})?\S*|\S+", re.DOTALL)
_HISTOGRAM = re.compile(r"(?P<start>\{\{.*?\}\})(?:(?P<sign>[-+])(?P<by>\{\{.*?\}\}))?(?:x(?P<times>\d+))?", re.DOTALL)


class NotationError(ValueError):
    """Not a series, or not values, in this notation; the text says what was expected."""


def parse_metric(text: str) -> Labels:
    r"""The labels of a series or of an element, sorted by name, the metric name under `__name__`.

    >>> parse_metric('up{job="api",}')
    (('__name__', 'up'), ('job', 'api'))
    >>> parse_metric("{}"), parse_metric("")
    ((), ())

    Raises:
        NotationError: it is none.
    """
    text = text.strip()
    name = _NAME.match(text)
    labels = {METRIC_NAME: name[0]} if name else {}
    rest = text[name.end() if name else 0 :].strip()
    if rest:
        if not (rest.startswith("{") and rest.endswith("}")):
            raise NotationError(f'expected a series such as up{{job="api"}}, got {text!r}')
        for key, value in _pairs(rest[1:-1], text):
            if key in labels:
                raise NotationError(f"the label {key} stands twice in {text!r}")
            labels[key] = value
    return tuple(sorted((key, value) for key, value in labels.items() if value))


def _pairs(inside: str, text: str) -> Iterator[tuple[str, str]]:
    at = _skip(inside, 0)
    while at < len(inside):
        key, at, is_quoted = _key(inside, at, text)
        at = _skip(inside, at)
        if inside[at : at + 1] == "=":
            value, at = _string(inside, _skip(inside, at + 1), text)
            yield key, value
        elif is_quoted:
            yield METRIC_NAME, key
        else:
            raise NotationError(f"expected = after the label {key} in {text!r}")
        at = _skip(inside, at)
        if at < len(inside):
            if inside[at] != ",":
                raise NotationError(f"expected a comma between the labels of {text!r}")
            at = _skip(inside, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _key(inside: str, at: int, text: str) -> tuple[str, int, bool]:
    if inside[at] in "\"'`":
        key, at = _string(inside, at, text)
        return key, at, True
    found = _LABEL_NAME.match(inside, at)
    if found is None:
        raise NotationError(f"expected a label name in {text!r}, got {inside[at:]!r}")
    return found[0], found.end(), False


def _string(inside: str, at: int, text: str) -> tuple[str, int]:
    found = _QUOTED.match(inside, at)
    if found is None:
        raise NotationError(f"expected a text in quotes in {text!r}, got {inside[at:]!r}")
    if found[3] is not None:
        return found[3], found.end()
    return _ESCAPE.sub(_unescape, found[1] if found[1] is not None else found[2]), found.end()


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    if code in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES[code]
    if len(code) == 1:
        raise NotationError(f"unknown escape \\{code}")
    number = int(code, 8) if code[0] in "01234567" else int(code[1:], 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise NotationError(f"\\{code} is no character")
    return chr(number)


def parse_values(text: str) -> list[SeriesValue]:
    """The values of a series, one for each interval from the start.

    >>> parse_values("1+2x3 _ 7x1")
    [1.0, 3.0, 5.0, 7.0, None, 7.0, 7.0]
    >>> parse_values("_x2 -1-1x1")
    [None, None, -1.0, -2.0]

    Raises:
        NotationError: it is no such list.
    """
    values: list[SeriesValue] = []
    for piece in _PIECES.findall(text):
        values += _expand(piece, MOST_VALUES - len(values))
    return values


def _expand(piece: str, room: int) -> list[SeriesValue]:
    if piece == "stale":
        return [STALE_NAN]
    if gap := _GAP.fullmatch(piece):
        return [None] * _count(gap["times"], 0, room)
    if histogram := _HISTOGRAM.fullmatch(piece):
        return _expand_histogram(histogram, room)
    item = _ITEM.fullmatch(piece)
    if item is None or (item["by"] and item["times"] is None):
        raise NotationError(f"expected values such as 1+2x10, 3x5, _ or stale, got {piece!r}")
    value, by = float(item["start"]), float(item["by"] or 0)
    count = _count(item["times"], 1, room)
    if not item["by"]:
        return [value] * count
    expanded: list[SeriesValue] = []
    for _ in range(count):
        expanded.append(value)
        value += by  # summed up as promtool does, which is not the same as a product
    return expanded


def _count(times: str | None, more: int, room: int) -> int:
    """How many values `x…` stands for; `more`: one is there before it counts."""
    count = 1 if times is None else int(times) + more
    if count > room:
        raise NotationError(f"more than {MOST_VALUES} values")
    return count


def _expand_histogram(match: re.Match[str], room: int) -> list[SeriesValue]:
    if match["by"] and match["times"] is None:
        raise NotationError(f"expected x and a number after {match[0]!r}")
    count = _count(match["times"], 1, room)
    try:
        start = parse_histogram(match["start"]).measured()
        by = parse_histogram(match["by"]).measured() if match["by"] else None
        return [*repeat(start, by, -1 if match["sign"] == "-" else 1, count)]
    except ValueError as error:
        raise NotationError(str(error)) from None

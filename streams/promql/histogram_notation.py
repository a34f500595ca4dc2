"""Native histograms as unit-test files of Prometheus write them: `{{schema:1 sum:3.5 count:4 buckets:[1 2 1]}}`.

What is written is checked for its form only: whether the numbers contradict each other is the wire's to say, over which
samples go in a test as well.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, get_args

import numpy as np

from streams.native.algebra import joined
from streams.native.histogram import EMPTY, Buckets, Hint, NativeHistogram
from streams.wire.histogram import CUSTOM_BUCKETS

HistogramField: TypeAlias = int | float | str | tuple[float, ...]

_FIELD = re.compile(r"\s*([a-z_]+):(\[[^\]]*\]|[^\s\[\]]+)")
_HINTS: tuple[Hint, ...] = get_args(Hint)
_FLOAT = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|inf|nan)", re.IGNORECASE)
# Far beyond what any number falls into, and few enough for 32 bits.
_FARTHEST = 1 << 24


@dataclass(frozen=True, slots=True)
class WrittenHistogram:
    """One histogram as it was written.

    schema: -4 to 8, or -53 for buckets with bounds of their own (`custom_values`).
    offset, n_offset: the index of the first positive and negative bucket.
    """

    schema: int = 0
    sum: float = 0.0
    count: float = 0.0
    z_bucket: float = 0.0
    z_bucket_w: float = 0.0
    buckets: tuple[float, ...] = ()
    offset: int = 0
    n_buckets: tuple[float, ...] = ()
    n_offset: int = 0
    custom_values: tuple[float, ...] = ()
    counter_reset_hint: Hint = "unknown"

    def measured(self) -> NativeHistogram:
        """The histogram that it means."""
        return NativeHistogram(
            schema=self.schema,
            hint=self.counter_reset_hint,
            zero_threshold=self.z_bucket_w,
            zero_count=self.z_bucket,
            count=self.count,
            sum=self.sum,
            positive=_side(self.buckets, self.offset),
            negative=_side(self.n_buckets, self.n_offset),
            bounds=self.custom_values,
        )


def _side(counts: tuple[float, ...], offset: int) -> Buckets:
    return Buckets(np.arange(offset, offset + len(counts), dtype=np.int32), np.array(counts)) if counts else EMPTY


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"expected a number, got {text!r}")
    return float(text)


def _width(text: str) -> float:
    width = _float(text)
    if not width >= 0 or text[0] in "+-":
        raise ValueError(f"expected a number from 0 on, got {text!r}")
    return width


def _int(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _offset(text: str) -> int:
    offset = _int(text)
    if abs(offset) > _FARTHEST:
        raise ValueError(f"expected at most {_FARTHEST}, got {text}")
    return offset


def _floats(text: str) -> tuple[float, ...]:
    if not (text.startswith("[") and text.endswith("]") and text[1:-1].strip()):
        raise ValueError(f"expected numbers in brackets such as [5 10 7], got {text!r}")
    return tuple(_float(item) for item in text[1:-1].split())


def _hint(text: str) -> Hint:
    for hint in _HINTS:
        if text == hint:
            return hint
    raise ValueError(f"expected one of {', '.join(sorted(_HINTS))}, got {text!r}")


_READERS: dict[str, Callable[[str], HistogramField]] = {
    "schema": _int,
    "sum": _float,
    "count": _float,
    "z_bucket": _float,
    "z_bucket_w": _width,
    "buckets": _floats,
    "offset": _offset,
    "n_buckets": _floats,
    "n_offset": _offset,
    "custom_values": _floats,
    "counter_reset_hint": _hint,
}


def parse_histogram(text: str) -> WrittenHistogram:
    """The histogram between double braces.

    >>> parse_histogram("{{schema:1 sum:-0.3 count:3 buckets:[1 2] offset:-3}}").buckets
    (1.0, 2.0)

    Raises:
        ValueError: it is none; says what was expected.
    """
    inside = text.strip().removeprefix("{{").removesuffix("}}").rstrip()
    fields: dict[str, HistogramField] = {}
    at = 0
    while at < len(inside):
        found = _FIELD.match(inside, at)
        if found is None:
            raise ValueError(f"expected a part such as buckets:[5 10 7] in {text!r}, got {inside[at:].strip()!r}")
        name, at = found[1], found.end()
        if name not in _READERS:
            raise ValueError(f"unknown part {name} of a histogram, expected one of {', '.join(_READERS)}")
        if name in fields:
            raise ValueError(f"{name} stands twice in {text!r}")
        try:
            fields[name] = _READERS[name](found[2])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    schema = fields.get("schema", 0)
    if schema != CUSTOM_BUCKETS and schema not in range(-4, 9):
        raise ValueError(f"schema: expected -4 to 8, or {CUSTOM_BUCKETS}, got {schema}")
    written = WrittenHistogram(**fields)  # type: ignore[arg-type]  # each read by the reader of its name
    _check_bounds(written)
    return written


def _check_bounds(written: WrittenHistogram) -> None:
    if written.schema != CUSTOM_BUCKETS or not written.buckets:
        return
    places = len(written.custom_values) + 1
    if written.offset < 0 or written.offset + len(written.buckets) > places:
        raise ValueError(f"buckets: {len(written.custom_values)} custom_values bound {places} of them")


def repeat(start: NativeHistogram, by: NativeHistogram | None, sign: int, count: int) -> list[NativeHistogram]:
    """A histogram and what it becomes when another one is added to it (sign 1) or taken from it (-1) again and again.

    Raises:
        ValueError: they cannot be added: their buckets do not fit.
    """
    if by is None:
        return [start] * count
    values = [start]
    for _ in range(count - 1):
        # Buckets that are finer than those that are added would have to be merged, and promtool refuses that.
        result = None if values[-1].schema > by.schema else joined(values[-1], by, sign)
        if result is None:
            raise ValueError(f"histograms of schema {values[-1].schema} and {by.schema} cannot be added up here")
        values.append(result)
    return values

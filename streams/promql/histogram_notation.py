"""Native histograms as unit-test files of Prometheus write them: `{{schema:1 sum:3.5 count:4 buckets:[1 2 1]}}`.

What is written, checked for its form, and nothing more: what the numbers mean is decided where histograms are measured.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

HistogramField: TypeAlias = int | float | str | tuple[float, ...]

_FIELD = re.compile(r"\s*([a-z_]+):(\[[^\]]*\]|[^\s\[\]]+)")
_HINTS = frozenset({"unknown", "reset", "not_reset", "gauge"})
_FLOAT = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|inf|nan)", re.IGNORECASE)
_CUSTOM_BUCKETS = -53


@dataclass(frozen=True, slots=True)
class NativeHistogram:
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
    counter_reset_hint: str = "unknown"


@dataclass(frozen=True, slots=True)
class HistogramSample:
    """A value of a series: `start` plus `factor` times `by`."""

    start: NativeHistogram
    by: NativeHistogram | None = None
    factor: int = 0


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"expected a number, got {text!r}")
    return float(text)


def _int(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _floats(text: str) -> tuple[float, ...]:
    if not (text.startswith("[") and text.endswith("]") and text[1:-1].strip()):
        raise ValueError(f"expected numbers in brackets such as [5 10 7], got {text!r}")
    return tuple(_float(item) for item in text[1:-1].split())


def _hint(text: str) -> str:
    if text not in _HINTS:
        raise ValueError(f"expected one of {', '.join(sorted(_HINTS))}, got {text!r}")
    return text


_READERS: dict[str, Callable[[str], HistogramField]] = {
    "schema": _int,
    "sum": _float,
    "count": _float,
    "z_bucket": _float,
    "z_bucket_w": _float,
    "buckets": _floats,
    "offset": _int,
    "n_buckets": _floats,
    "n_offset": _int,
    "custom_values": _floats,
    "counter_reset_hint": _hint,
}


def parse_histogram(text: str) -> NativeHistogram:
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
    if schema != _CUSTOM_BUCKETS and schema not in range(-4, 9):
        raise ValueError(f"schema: expected -4 to 8, or {_CUSTOM_BUCKETS}, got {schema}")
    return NativeHistogram(**fields)  # type: ignore[arg-type]  # each read by the reader of its name

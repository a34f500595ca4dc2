"""Numbers for people: three significant digits and a unit, the same everywhere."""

import math

_SUFFIX = {"ms": " ms", "s": " s", "1/s": "/s", "bytes": " B"}
_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))


def _three_digits(number: float) -> str:
    if number == 0:
        return "0"
    size = abs(number)
    if not 1e-6 <= size < 1e15:
        return f"{number:.2e}"
    decimals = max(0, 2 - math.floor(math.log10(size)))
    text = f"{number:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_value(value: float, unit: str) -> str:
    """A value with its unit; ratios as percentages.

    >>> format_value(231.4, "ms"), format_value(1350.2, "1/s"), format_value(0.00123, "ratio")
    ('231 ms', '1350/s', '0.123 %')
    """
    if unit == "ratio":
        return f"{_three_digits(value * 100.0)} %"
    if unit == "bytes":
        for factor, name in _BYTES:
            if abs(value) >= factor:
                return f"{_three_digits(value / factor)} {name}"
    suffix = _SUFFIX.get(unit)
    if suffix is None:
        suffix = f" {unit}" if unit else ""
    return _three_digits(value) + suffix


def format_chance(p_value: float) -> str:
    """A p-value, as far as its size means anything.

    >>> format_chance(0.0321), format_chance(1e-9)
    ('p = 0.032', 'p < 0.0001')
    """
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def format_change(ratio: float) -> str:
    """A relative change as a signed percentage.

    >>> format_change(0.352), format_change(-0.05), format_change(0.004)
    ('+35 %', '-5 %', '+0.4 %')
    """
    percent = ratio * 100.0
    text = f"{percent:+.0f}" if abs(percent) >= 9.5 else f"{percent:+.1f}"
    return f"{text.removesuffix('.0')} %"


def format_duration(duration_ms: int) -> str:
    """A duration in the two largest units that it has.

    >>> format_duration(5_400_000), format_duration(45_000)
    ('1h 30m', '45s')
    """
    seconds = duration_ms // 1000
    parts = []
    for name, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{name}")
    return " ".join(parts[:2]) or "0s"

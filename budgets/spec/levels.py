"""From a limit and its thresholds to absolute levels, and whether they make sense together.

Products are computed in decimal, as the file writes them: 0.8 x 0.9 is 0.72 on the page, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from budgets.spec.errors import Mistakes
from budgets.spec.file_model import CUSTOM_LIMIT, CustomKeys, IndicatorKeys, keys_of
from budgets.spec.indicators import LOWER_THRESHOLDS, UPPER_THRESHOLDS, WELL_KNOWN, LimitKey
from budgets.spec.model import Direction
from budgets.spec.structure import Place

_FIXED: Mapping[str, LimitKey] = {
    "budget_ms": LimitKey("above"),
    "max": LimitKey("above"),
    "min": LimitKey("below"),
    "max_percentage": LimitKey("above", "0.01", percentage=True),
    "min_percentage": LimitKey("below", "0.01", percentage=True),
}
# min_traffic is named like a limit, and is none.
_CUSTOM_KEYS = frozenset(keys_of(CustomKeys))
# What a limit in milliseconds is in other units of time.
_MILLISECONDS_IN = {"ms": "1", "s": "0.001"}


@dataclass(frozen=True, slots=True)
class Limit:
    """The key that gives the limit, its value in the indicator's unit, and the unit."""

    key: str
    value: float
    unit: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Levels:
    """Absolute values in the indicator's unit; None = none."""

    warning: float | None = None
    critical: float | None = None
    recovery: float | None = None


def times(value: float, factor: float | str) -> float:
    """A product without the rounding noise of binary fractions.

    >>> 0.8 * 0.9, times(0.8, 0.9)
    (0.7200000000000001, 0.72)
    """
    return float(Decimal(repr(value)) * Decimal(str(factor)))


def _limit_keys(place: Place) -> dict[str, LimitKey]:
    known = WELL_KNOWN[place.well_known].limits if place.well_known else _FIXED
    found = {key: known[key] for key in place.keys if key in known}
    if not place.well_known:
        found |= {
            key: LimitKey("above" if key.startswith("max_") else "below")
            for key in place.keys
            if key not in _CUSTOM_KEYS and CUSTOM_LIMIT.fullmatch(key)
        }
    return found


def limit_of(place: Place, keys: IndicatorKeys, mistakes: Mistakes) -> Limit | None:
    """The limit of an indicator; None = it has none, or a wrong one, which is noted."""
    given = _limit_keys(place)
    if len(given) > 1:
        first, second = list(given)[:2]
        mistakes.add(*place.line_of(second), f"a second limit beside {first}, expected one for each indicator")
    if len(given) != 1:
        return None
    (key, meaning), *_ = given.items()
    # Limits of the file's own names are no fields.
    number = {**keys.model_dump(by_alias=True), **(keys.model_extra or {})}.get(key)
    if number is None:
        return None
    if number == 0 and meaning.direction == "below":
        mistakes.add(*place.line_of(key), "expected a number above 0: no value is below 0")
        return None
    unit = _unit_of(place, keys, key, meaning, mistakes)
    scale = _MILLISECONDS_IN[unit] if unit and key == "budget_ms" else meaning.scale
    return Limit(key, times(number, scale), unit, meaning.direction) if unit else None


def _unit_of(place: Place, keys: IndicatorKeys, key: str, meaning: LimitKey, mistakes: Mistakes) -> str:
    """The unit of an indicator whose limit is `key`; empty = a wrong one or none, which is noted."""
    usual = "ratio" if meaning.percentage else "ms" if key == "budget_ms" else ""
    if place.well_known:
        usual = WELL_KNOWN[place.well_known].unit
    unit = keys.unit or usual
    wrong = ""
    if not unit:
        wrong = "missing, expected what expr is measured in, such as ms, 1/s or ratio"
    elif meaning.percentage and unit != "ratio":
        wrong = f"expected ratio beside {key}: expr gives 0 to 1, only the limit is in percent; got {unit!r}"
    elif key == "budget_ms" and unit not in _MILLISECONDS_IN:
        wrong = f"expected ms or s beside budget_ms, got {unit!r}"
    if wrong:
        mistakes.add(*place.line_of("unit"), wrong)
    return "" if wrong else unit


def levels_of(place: Place, keys: IndicatorKeys, limit: Limit, mistakes: Mistakes) -> Levels:
    """Warning, critical and recovery level of a limit; what contradicts is noted."""
    usual = LOWER_THRESHOLDS if limit.direction == "below" else UPPER_THRESHOLDS
    if place.well_known:
        usual = WELL_KNOWN[place.well_known].thresholds
    warning = usual[0] if keys.warning_threshold is None else keys.warning_threshold
    critical = usual[1] if keys.critical_threshold is None else keys.critical_threshold
    recovery = keys.recovery_threshold
    if _is_beyond(limit, warning, critical):
        _note_order(place, keys, limit, {"warning_threshold": warning, "critical_threshold": critical}, mistakes)
    elif recovery is not None and _is_beyond(limit, recovery, warning):
        kind, bound = ("an upper", "at most") if limit.direction == "above" else ("a lower", "at least")
        text = (
            f"on the wrong side for {place.name}, whose limit is {kind} one: "
            f"expected {bound} {warning:g}, as warning_threshold is, got {recovery:g}"
        )
        mistakes.add(*place.line_of("recovery_threshold"), text)
    if limit.unit == "ratio" and limit.direction == "below" and times(limit.value, warning) > 1:
        text = f"{warning:g} of {limit.value:.4g} is more than 1, so every value would be a warning"
        mistakes.add(*place.line_of("warning_threshold"), text)
    return Levels(
        times(limit.value, warning),
        times(limit.value, critical),
        None if recovery is None else times(limit.value, recovery),
    )


def _is_beyond(limit: Limit, factor: float, other: float) -> bool:
    """Whether a factor of the limit lies further in the bad direction than another."""
    return factor > other if limit.direction == "above" else factor < other


def _note_order(
    place: Place, keys: IndicatorKeys, limit: Limit, factors: Mapping[str, float], mistakes: Mistakes
) -> None:
    """A warning that lies beyond critical, said where the file gives one of the two."""
    key, other = "warning_threshold", "critical_threshold"
    if keys.warning_threshold is None:
        key, other = other, key
    bound = "at most" if (limit.direction == "above") == (key == "warning_threshold") else "at least"
    default = " (its default)" if getattr(keys, other) is None else ""
    text = (
        f"a warning must come before critical: expected {bound} {factors[other]:g}, as {other} is{default},"
        f" got {factors[key]:g}"
    )
    mistakes.add(*place.line_of(key), text)

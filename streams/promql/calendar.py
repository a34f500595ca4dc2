"""What a calendar says of a moment in UTC: `year month day_of_month day_of_week day_of_year days_in_month hour minute`.

Whole seconds since 1970, of any size: days are counted in the proleptic Gregorian calendar.

Source of the arithmetic: H. Hinnant, "chrono-compatible low-level date algorithms" (2013).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.series.arrays import Floats

Whole = npt.NDArray[np.int64]

_DAY = 86_400
_BEYOND = 2.0**63
# Prometheus turns what is no number of seconds into -2^63 (amd64), which its calendar takes for +2^63.
_NO_MOMENT = 2**63


@dataclass(frozen=True, slots=True)
class _Moments:
    """days: since 1970. seconds: of the day."""

    days: Whole
    seconds: Whole


def _moments(values: Floats) -> _Moments:
    whole = np.abs(values) < _BEYOND
    seconds = np.where(whole, values, 0.0).astype(np.int64)
    days, rest = np.floor_divide(seconds, _DAY), np.mod(seconds, _DAY)
    return _Moments(np.where(whole, days, _NO_MOMENT // _DAY), np.where(whole, rest, _NO_MOMENT % _DAY))


def _dates(days: Whole) -> tuple[Whole, Whole, Whole]:
    """Year, month and day of the month."""
    shifted = days + 719_468  # days since the 1st of March of the year 0: leap days come last
    era, of_era = np.divmod(shifted, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * of_year + 2) // 153
    day = of_year - (153 * from_march + 2) // 5 + 1
    month = np.where(from_march < 10, from_march + 3, from_march - 9)
    return year_of_era + era * 400 + (month <= 2), month, day


def _is_leap(year: Whole) -> npt.NDArray[np.bool_]:
    leap: npt.NDArray[np.bool_] = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return leap


_LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_BEFORE = np.cumsum(_LENGTHS) - _LENGTHS


def _days_in_month(moments: _Moments) -> Whole:
    year, month, _ = _dates(moments.days)
    days: Whole = _LENGTHS[month - 1] + ((month == 2) & _is_leap(year))
    return days


def _day_of_year(moments: _Moments) -> Whole:
    year, month, day = _dates(moments.days)
    of_year: Whole = _BEFORE[month - 1] + day + ((month > 2) & _is_leap(year))
    return of_year


def _of(read: Callable[[_Moments], Whole]) -> Callable[[Floats], Floats]:
    return lambda values: read(_moments(values)).astype(np.float64)


CALENDAR: Final[dict[str, Callable[[Floats], Floats]]] = {
    "year": _of(lambda moments: _dates(moments.days)[0]),
    "month": _of(lambda moments: _dates(moments.days)[1]),
    "day_of_month": _of(lambda moments: _dates(moments.days)[2]),
    "day_of_week": _of(lambda moments: (moments.days + 4) % 7),  # 1970 began on a Thursday; 0 = Sunday
    "day_of_year": _of(_day_of_year),
    "days_in_month": _of(_days_in_month),
    "hour": _of(lambda moments: moments.seconds // 3600),
    "minute": _of(lambda moments: moments.seconds // 60 % 60),
}

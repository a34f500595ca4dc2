"""What is usual now: level, spread and season of one indicator.

expected = level x season. Until two days agree on a season it is 1, and the level follows with a memory of an hour,
fast enough for a daily rhythm; from then on the level is what the last day had relative to the season, and the
season is a median over seven days, or over the same days of the week once two weeks agree (`hours.py`). New values are
clipped to three spreads before they move anything, so that what strays teaches little. Whether a value may teach at
all is `detector.py`'s business.
"""

import math
import struct
from statistics import fmean, stdev
from typing import Literal

from streams.detect.change_ratio import SMALLEST_BASELINE
from streams.detect.hours import Hours, Period
from streams.detect.local_time import HOUR_MS, LocalTime
from streams.detect.memory import FadingMean
from streams.detect.usual import Usual

Rung = Literal["limits", "change", "zscore", "season"]

# What level and spread rest on; the profile by days of the week on four times as much.
KEPT_MS = 7 * 86_400_000
_PERIODS: tuple[Period | None, ...] = (None, "day", "week")
_COLD_MEMORY_MS = 3_600_000
_MEMORY_MS = 86_400_000
_SPREAD_MEMORY_MS = 86_400_000
# A relative change can be told after a window, but not before some minutes have been seen; spreads take longer.
_CHANGE_AFTER_MS = 180_000
_WARM_UP_MS = 900_000
_WARM_UP_WINDOWS = 6
_CLIP_LEVEL = 3.0
_CLIP_SPREAD = 4.0
_MEAN_DEVIATION = math.sqrt(math.pi / 2)  # standard deviation of a Gaussian / its mean absolute deviation
# Where values stray by more than this from their level, an hour's mean says nothing about the time of day.
_MAX_SEASONAL_SPREAD = 0.5
_STATE = struct.Struct("<qqqqBd4d")
# A baseline that stands still is asked about the week from two hours before it did: those it knows to the end.
_KNOWN_TO_THE_END_MS = 2 * HOUR_MS


class Baseline:
    """Learns one indicator's usual values.

    step_ms: one value a step. window_ms: how long a value is remembered by its neighbours.
    smallest_spread: values are never taken to be steadier than this, ratio > 0.
    hours_between_alarms: see `Hours`. local_time: of whom it serves.
    """

    __slots__ = (
        "_count",
        "_first_ms",
        "_frozen_ms",
        "_hours",
        "_last_ms",
        "_last_season",
        "_level",
        "_local_time",
        "_period",
        "_season",
        "_smallest_spread",
        "_step_ms",
        "_stray",
        "_warm_up_count",
        "_window_ms",
        "spread",
    )

    def __init__(
        self,
        step_ms: int,
        window_ms: int,
        smallest_spread: float,
        hours_between_alarms: float,
        local_time: LocalTime,
    ) -> None:
        self._step_ms = step_ms
        self._window_ms = max(window_ms, step_ms)
        self._smallest_spread = smallest_spread
        self._warm_up_count = max(_WARM_UP_MS, _WARM_UP_WINDOWS * self._window_ms) // step_ms
        self._level = FadingMean(step_ms, _COLD_MEMORY_MS)
        self._stray = FadingMean(step_ms, _SPREAD_MEMORY_MS)
        self._hours = Hours(step_ms, hours_between_alarms, local_time)
        self._local_time = local_time
        self._period: Period | None = None
        self._last_season = 1.0
        self._season: float | None = None
        self._count = 0
        self._first_ms = 0
        self._frozen_ms = 0
        self._last_ms = 0
        self.spread = smallest_spread

    @property
    def rung(self) -> Rung:
        """How far it has come since its first value: see `docs/detection.md`."""
        if self._count < self._warm_up_count:
            soon = max(_CHANGE_AFTER_MS, self._window_ms)
            return "change" if self._count * self._step_ms >= soon else "limits"
        return "zscore" if self._period is None else "season"

    @property
    def period(self) -> Period | None:
        """Whose season it is: that of the last days or of the same days of the week; None = there is none."""
        return self._period

    @property
    def is_warm(self) -> bool:
        """Whether the spread means something."""
        return self._count >= self._warm_up_count

    @property
    def freedom(self) -> float:
        """How many independent values stand behind the spread."""
        return min(self._count * self._step_ms, _SPREAD_MEMORY_MS) / self._window_ms

    @property
    def learned_ms(self) -> tuple[int, int]:
        """Times of the oldest and the newest value behind it; (0, 0) = none."""
        return max(self._first_ms, self._last_ms - KEPT_MS), self._last_ms

    @property
    def season(self) -> float | None:
        """What the same time of day usually has; None = not known, or the values stray too much for one."""
        return self._season

    @property
    def alarm_level(self) -> float:
        """See `Hours.alarm_level`."""
        return self._hours.alarm_level

    def expect(self, at_ms: int) -> float | None:
        """The usual value at a step; None before the first values and where it is zero."""
        season = self._find_season(at_ms)
        if season is not None and (abs(season) <= SMALLEST_BASELINE or self.spread > _MAX_SEASONAL_SPREAD):
            season = None
        period = self._hours.period if season is not None else None
        if period != self._period:
            self._switch(period, season)
        self._season = season
        if season is not None:
            self._last_season = season
        if self._count == 0:
            return None
        expected = self._level.mean * self._last_season
        return expected if abs(expected) > SMALLEST_BASELINE else None

    def _find_season(self, at_ms: int) -> float | None:
        if not self._frozen_ms:
            self._hours.advance(at_ms)
            return self._hours.season(at_ms)
        season = self._hours.season(self._local_time.same_moment(at_ms, self._frozen_ms, 7))
        if self._hours.period == "week":
            return season
        return self._hours.season(self._local_time.same_moment(at_ms, self._frozen_ms, 1))

    def freeze(self, at_ms: int) -> None:
        """Stand still from a step on: what is usual now stays so, the same week or the same day again and again."""
        self._frozen_ms = max(1, at_ms - _KNOWN_TO_THE_END_MS)

    def _switch(self, period: Period | None, season: float | None) -> None:
        """Count the level in other terms.

        Its value stays, but where the week becomes known: a level of a Sunday, told by the median of seven days, says
        nothing of Monday. The same days of the weeks before do, so it begins at theirs.
        """
        count, mean = self._level.state
        level = mean * self._last_season
        self._last_season = 1.0 if season is None else season
        self._period = period
        self._level = self._create_level()
        if period == "week":
            self._level.state = (min(count, HOUR_MS / self._step_ms), 1.0)
        else:
            self._level.state = (count, level / self._last_season)

    def _create_level(self) -> FadingMean:
        return FadingMean(self._step_ms, _COLD_MEMORY_MS if self._period is None else _MEMORY_MS)

    def learn(self, at_ms: int, value: float, expected: float | None, sign: float) -> None:
        """Take a value that nobody complains about; `expected` is what `expect` said at this step."""
        kept = value
        if expected is not None:
            size = abs(expected)
            deviation = (value - expected) / size
            if self._count >= self._warm_up_count:
                far = _CLIP_LEVEL * self.spread * size
                kept = max(expected - far, min(expected + far, value))
                self._stray.update(min(abs(deviation), _CLIP_SPREAD * self.spread))
                self._hours.stray(deviation * sign)
            else:
                self._stray.update(abs(deviation))
            self.spread = max(self._smallest_spread, _MEAN_DEVIATION * self._stray.mean)
        self._level.update(kept / self._last_season)
        self._hours.add(value)
        self._count += 1
        self._first_ms = self._first_ms or at_ms
        self._last_ms = at_ms

    def keep_out(self, value: float) -> None:
        """Note a value that may not teach: only its repetition in another week would mean something."""
        self._hours.keep_out(value)

    def adopt(self, factor: float) -> None:
        """Take a new level for the usual one: everything remembered moves with it."""
        count, mean = self._level.state
        self._hours.scale(factor)
        if self._period is not None:
            self._last_season *= factor
        else:
            self._level.state = (count, mean * factor)

    @property
    def variation(self) -> float | None:
        """How far the levels of the last seven days stray: standard deviation / mean. None = not known."""
        levels = self._hours.daily_levels(self._last_ms)
        mean = abs(fmean(levels)) if levels else 0.0
        return stdev(levels) / mean if SMALLEST_BASELINE < mean < math.inf else None

    def tell(self, *, with_hours: bool = True) -> Usual | None:
        """What is usual, as a document; None before the spread means something."""
        if not self.is_warm:
            return None
        level = self._hours.latest_level()
        first_hour, hours, peaks = self._hours.tell() if with_hours else (0, [], [])
        return Usual(
            level=float(f"{self._level.mean * self._last_season if level is None else level:.8g}"),
            spread=float(f"{self.spread:.4g}"),
            since=self.learned_ms[0],
            until=self._last_ms,
            values=self._count,
            hours_since=first_hour * HOUR_MS if hours else 0,
            hours=tuple(hours),
            peaks=tuple(peaks) if hours else (),
        )

    def take(self, at_ms: int, usual: Usual) -> None:
        """Take what a document says for what is usual from a step on; what was learned here before is forgotten."""
        self._hours.advance(at_ms)
        self._hours.take(usual.hours_since // HOUR_MS, usual.hours, usual.peaks)
        self._count = max(usual.values, self._warm_up_count)
        self._first_ms, self._last_ms = usual.since, usual.until
        self._stray.state = (float(self._count), usual.spread / _MEAN_DEVIATION)
        self.spread = max(self._smallest_spread, usual.spread)
        season = self._hours.season(at_ms)
        self._period = self._hours.period if season is not None else None
        self._last_season = 1.0 if season is None else season
        self._level = self._create_level()
        self._level.state = (HOUR_MS / self._step_ms, usual.level if season is None else 1.0)

    def snapshot(self) -> bytes:
        """4.3 KB, nearly all of it the profile."""
        head = _STATE.pack(
            self._count,
            self._first_ms,
            self._last_ms,
            self._frozen_ms,
            _PERIODS.index(self._period),
            self._last_season,
            *self._level.state,
            *self._stray.state,
        )
        return head + self._hours.snapshot()

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state."""
        head = _STATE.unpack_from(data)
        self._count, self._first_ms, self._last_ms, self._frozen_ms, period, self._last_season, *memory = head
        self._period = _PERIODS[period]
        self._level = self._create_level()
        self._level.state = (memory[0], memory[1])
        self._stray.state = (memory[2], memory[3])
        self.spread = max(self._smallest_spread, _MEAN_DEVIATION * self._stray.mean)
        self._hours.restore(data[_STATE.size :])

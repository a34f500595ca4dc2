"""One indicator's baseline and the four methods, and what may teach the baseline.

What an alert has claimed, what comes while a deployment is under way, and what is too far off to be chance stays out of
the baseline, good or bad. Nothing stays out for ever: what held for `ADOPT_WORSE_AFTER_MS` (`ADOPT_BETTER_AFTER_MS` in
the good direction) is the new usual, and what comes again every week is its profile.
"""

import struct
from typing import NamedTuple

import msgspec

from streams.detect.baseline import Baseline, Rung
from streams.detect.change_ratio import ChangeRatio
from streams.detect.confidence import INDICATORS_SHARING, Confidence, alarm_z
from streams.detect.local_time import LocalTime
from streams.detect.memory import FadingMean
from streams.detect.reading import Reading
from streams.detect.trend import Trend
from streams.detect.usual import Usual
from streams.detect.zscore import ZScore

ADOPT_WORSE_AFTER_MS = 7 * 86_400_000
# Longer than the longest weekend, Good Friday to Easter Monday: who is quicker on it is not quicker for good.
ADOPT_BETTER_AFTER_MS = 4 * 86_400_000 + 1
_EXCURSION_MEMORY_MS = 3_600_000
_TREND_MS = 4 * 3_600_000
_MONTH_HOURS = 720.0
# Spreads below a tenth, trends below half of the smallest change that matters do not matter.
_SMALLEST_SPREAD_SHARE = 0.1
# Where every change matters a value that never varied still has some spread: nothing is measured exactly.
_LEAST_SPREAD = 1e-6
_SMALLEST_RISE_SHARE = 0.5
_HALF = 0.5
UTC = LocalTime()
_SMALLEST_FACTOR = 1e-9
_LARGEST = 1e150  # squares stay finite
_STATE = struct.Struct("<qqq2d")

_Parts = tuple[bytes, bytes, bytes, bytes, bytes]


class Watch(msgspec.Struct, frozen=True):
    """How one indicator is to be watched.

    sign: +1.0 when larger is worse, -1.0 when smaller is worse. threshold: smallest change that matters, ratio.
    alarm_budget: false alarms in 30 days for the installation. is_share: a share of events, 0-1.
    phase_ms: spreads periodic work over the steps. local_time: of those whom it serves.
    """

    step_ms: int
    window_ms: int
    sign: float
    threshold: float
    alarm_budget: float
    is_share: bool
    phase_ms: int = 0
    local_time: LocalTime = UTC


class Finding(NamedTuple):
    """What one step's value says against the baseline.

    change: relative change of the value, ratio. worse_by: in the bad direction, what the thresholds are held against.
    regressed: every method for a sudden change votes. trending: the trend votes. methods: who votes, by name.
    """

    rung: Rung
    expected: float
    change: float
    worse_by: float
    z: float
    regressed: bool
    trending: bool
    methods: tuple[str, ...]


class Detector:
    """Takes every value of one indicator, in order: `observe`, then `learn` or nothing; `skip` where one is missing.

    onset_ms: when the present deviation in the bad direction began; 0 = there is none.
    finding: of the newest step; None = it had no value, or nothing to hold it against.
    """

    __slots__ = (
        "_at_ms",
        "_excursion",
        "_excursion_ms",
        "_expected",
        "_learning",
        "_protected_until_ms",
        "_value",
        "_watch",
        "_zscore",
        "baseline",
        "change_ratio",
        "confidence",
        "finding",
        "onset_ms",
        "trend",
    )

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        step_ms, budget = watch.step_ms, watch.alarm_budget
        self.baseline = self._create_baseline()
        self._learning: Baseline | None = None
        self.change_ratio = ChangeRatio(watch.threshold)
        self._zscore = ZScore()
        self.confidence = Confidence(step_ms, watch.window_ms, alarm_z(budget, watch.window_ms))
        rise = _SMALLEST_RISE_SHARE * watch.threshold
        self.trend = Trend(step_ms, rise, alarm_z(budget, _TREND_MS), watch.phase_ms)
        self._excursion: FadingMean | None = None
        self._excursion_ms = 0
        self._protected_until_ms = 0
        self._at_ms = 0
        self._value = 0.0
        self._expected: float | None = None
        self.onset_ms = 0
        self.finding: Finding | None = None

    def _create_baseline(self) -> Baseline:
        watch = self._watch
        smallest_spread = max(_LEAST_SPREAD, _SMALLEST_SPREAD_SHARE * watch.threshold)
        hours_between_alarms = _MONTH_HOURS * INDICATORS_SHARING / watch.alarm_budget
        return Baseline(watch.step_ms, watch.window_ms, smallest_spread, hours_between_alarms, watch.local_time)

    def observe(self, at_ms: int, value: float, events: float | None) -> Finding | None:
        """Hold a value against the baseline; None while there is nothing to hold it against."""
        value = max(-_LARGEST, min(_LARGEST, value))
        baseline, watch = self.baseline, self._watch
        expected = baseline.expect(at_ms)
        self._at_ms, self._value = at_ms, value
        self._expected = expected if self._learning is None else self._learning.expect(at_ms)
        self.finding = None
        if expected is None:
            self.confidence.forget_recent()
            return None
        reading = Reading(
            at_ms,
            value,
            expected,
            baseline.spread,
            watch.sign,
            baseline.season,
            baseline.freedom,
            events if watch.is_share else None,
        )
        self.finding = self._ask(reading)
        return self.finding

    def _ask(self, reading: Reading) -> Finding:
        """Every method, and whether they agree."""
        changed = self.change_ratio.observe(reading)
        off = self._zscore.observe(reading)
        sure = self.confidence.observe(reading)
        trending = self.trend.observe(reading)
        worse_by = self.confidence.change * reading.sign
        if worse_by <= self._watch.threshold * _HALF:
            self.onset_ms = 0
        elif self.onset_ms == 0:
            self.onset_ms = reading.at_ms
        # Where neighbours are nearly independent, their mean speaks for them: single values come and go.
        regressed = (
            sure
            and ((changed and off) or self.confidence.averaged > 1)
            and self.baseline.is_warm
            and worse_by > self._watch.threshold
            and worse_by > self.baseline.alarm_level
        )
        votes = (("change_ratio", changed), ("zscore", off), ("confidence_interval", sure), ("trend", trending))
        methods = tuple(name for name, vote in votes if vote) if changed or off or sure or trending else ()
        change = self.change_ratio.change
        return Finding(
            self.baseline.rung, reading.expected, change, worse_by, self._zscore.z, regressed, trending, methods
        )

    def protect(self, until_ms: int) -> None:
        """Something changes here until then (a deployment, say): values up to it teach the baseline nothing."""
        self._protected_until_ms = max(self._protected_until_ms, until_ms)

    def learn(self, *, claimed: bool) -> None:
        """Let the value just observed teach the baseline, unless it has to stay out of it."""
        baseline = self._learning or self.baseline
        knows_better = baseline.is_warm and self._expected is not None
        strays = knows_better and (claimed or self._is_excursion())
        if strays:
            self._count_excursion()
        elif self._excursion is not None:
            self._excursion_ms -= 2 * self._watch.step_ms
            if self._excursion_ms <= 0:
                self._excursion, self._excursion_ms = None, 0
        if strays or (knows_better and self._at_ms <= self._protected_until_ms):
            baseline.keep_out(self._value)
        else:
            baseline.learn(self._at_ms, self._value, self._expected, self._watch.sign)

    def _is_excursion(self) -> bool:
        return abs(self.confidence.change) > self._watch.threshold and self.confidence.is_surprising()

    def _count_excursion(self) -> None:
        if self._excursion is None:
            self._excursion = FadingMean(self._watch.step_ms, _EXCURSION_MEMORY_MS)
        self._excursion.update(self.change_ratio.change)
        self._excursion_ms += self._watch.step_ms
        change = self._excursion.mean
        worse = change * self._watch.sign > 0
        if self._excursion_ms >= (ADOPT_WORSE_AFTER_MS if worse else ADOPT_BETTER_AFTER_MS):
            self._adopt((self._learning or self.baseline,), change)

    def _adopt(self, baselines: tuple[Baseline, ...], change: float) -> None:
        for baseline in baselines:
            baseline.adopt(max(_SMALLEST_FACTOR, 1.0 + change))
        self._excursion, self._excursion_ms = None, 0
        self.confidence.forget_recent()

    # --- orders --------------------------------------------------------------------------------------------------

    @property
    def is_pinned(self) -> bool:
        """Whether the baseline stands still; what comes is learned meanwhile, for the time after that."""
        return self._learning is not None

    def accept(self) -> None:
        """The present level is the usual one from now on, also where the baseline is pinned."""
        change = self._excursion.mean if self._excursion is not None else self.confidence.change
        self._adopt((self.baseline,) if self._learning is None else (self.baseline, self._learning), change)
        self.onset_ms = 0

    def take(self, at_ms: int, usual: Usual) -> None:
        """What a document says is usual from now on."""
        for baseline in (self.baseline, self._learning):
            if baseline is not None:
                baseline.take(at_ms, usual)
        self._excursion, self._excursion_ms, self.onset_ms = None, 0, 0
        self.confidence.forget_recent()

    def pin(self, at_ms: int) -> bool:
        """Judge by the baseline of now until `unpin`; False = too little is known yet to stand on."""
        learning = self._learning or self.baseline
        if not learning.is_warm:
            return False
        frozen = self._create_baseline()
        frozen.restore(learning.snapshot())
        frozen.freeze(at_ms)
        self.baseline, self._learning = frozen, learning
        return True

    def unpin(self) -> None:
        """Judge by what was learned meanwhile."""
        if self._learning is not None:
            self.baseline, self._learning = self._learning, None

    def skip(self, at_ms: int) -> None:
        """This step has no value, or one that says nothing."""
        self.baseline.expect(at_ms)
        if self._learning is not None:
            self._learning.expect(at_ms)
        self.confidence.forget_recent()
        self.finding = None

    def snapshot(self) -> bytes:
        """About 5 KB, 4.2 of them the profile."""
        count, mean = self._excursion.state if self._excursion is not None else (0.0, 0.0)
        own = _STATE.pack(self.onset_ms, self._excursion_ms, self._protected_until_ms, count, mean)
        learning = self._learning.snapshot() if self._learning is not None else b""
        parts = (own, self.baseline.snapshot(), learning, self.trend.snapshot(), self.confidence.snapshot())
        return msgspec.msgpack.encode(parts)

    def restore(self, data: bytes) -> None:
        """Take a snapshot's state."""
        own, baseline, learning, trend, confidence = msgspec.msgpack.decode(data, type=_Parts)
        self.onset_ms, self._excursion_ms, self._protected_until_ms, count, mean = _STATE.unpack(own)
        self._excursion = None
        if count > 0:
            self._excursion = FadingMean(self._watch.step_ms, _EXCURSION_MEMORY_MS)
            self._excursion.state = (count, mean)
        self.baseline.restore(baseline)
        self._learning = None
        if learning:
            self._learning = self._create_baseline()
            self._learning.restore(learning)
        self.trend.restore(trend)
        self.confidence.restore(confidence)

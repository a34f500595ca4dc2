"""A running mean that forgets: River's `Mean` while it is young, River's `EWMean` from then on.

An exponentially weighted mean alone would carry its first value for a whole memory. Both of River's statistics
can be rebuilt exactly from (n, mean) through their public face, which is why these two and not `EWVar` or
`Quantile` are used: their state is opaque bytes of a Rust structure.
"""

import math

from river import stats


class FadingMean:
    """Mean of about the last `memory_ms`, one update a step.

    step_ms, memory_ms: the time constant is memory_ms; at least one step.
    """

    __slots__ = ("_count", "_fading_factor", "_full_at", "_old", "_young", "mean")

    def __init__(self, step_ms: int, memory_ms: int) -> None:
        self._fading_factor = -math.expm1(-step_ms / max(memory_ms, step_ms))
        self._full_at = 1.0 / self._fading_factor
        self._young: stats.Mean | None = stats.Mean()
        self._old: stats.EWMean | None = None
        self._count = 0.0
        self.mean = 0.0

    def update(self, value: float) -> None:
        """Take one value."""
        if self._old is not None:
            self._old.update(value)
            self.mean = self._old.get()
            return
        assert self._young is not None
        self._young.update(value)
        self._count += 1.0
        self.mean = self._young.get()
        if self._count >= self._full_at:
            self._grow_old()

    def _grow_old(self) -> None:
        self._old = stats.EWMean(self._fading_factor)
        self._old.update(self.mean)
        self._young = None  # two objects an indicator and mean are what memory is made of

    @property
    def state(self) -> tuple[float, float]:
        """(values seen, at most a memory full of them; mean): all there is to restore."""
        return self._count, self.mean

    @state.setter
    def state(self, state: tuple[float, float]) -> None:
        self._count, self.mean = min(state[0], math.ceil(self._full_at)), state[1]
        self._young, self._old = stats.Mean(), None
        if self._count > 0:
            self._young.update(self.mean, self._count)
        if self._count >= self._full_at:
            self._grow_old()

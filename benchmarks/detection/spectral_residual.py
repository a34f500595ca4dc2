"""Rival: spectral residual, the saliency map of a signal's spectrum.

What stands out of the averaged logarithm of the amplitudes is salient; the newest point is an anomaly when its saliency
is three times that of the points before it. Parameters are the paper's, with its five estimated points after the
newest one, which hold no future: they continue the mean gradient of what is known.

Source: Ren et al., Time-Series Anomaly Detection Service at Microsoft, KDD 2019.
"""

import numpy as np

from benchmarks.detection.method import BoolArray, Decision, FloatArray, rises

WINDOW = 1_440
_AVERAGED = 3  # q
_BEFORE = 21  # z
_ESTIMATED = 5  # kappa
_GRADIENT_POINTS = 5  # m
_THRESHOLD = 3.0  # tau
_SMALLEST = 1e-8


class SpectralResidual:
    """Keeps the last `WINDOW` values of every stream, the newest one last; a hole repeats the value before it."""

    def __init__(self, streams: int) -> None:
        self._ring = np.zeros((streams, 2 * WINDOW))
        self._last = np.zeros(streams)
        self._place = 0
        self._count = np.zeros(streams, dtype=np.int64)
        self._open: BoolArray = np.zeros(streams, dtype=np.bool_)

    def observe(self, _at_ms: int, values: FloatArray) -> Decision:
        """Judge the newest value among the window's."""
        known = np.isfinite(values)
        first = known & (self._count == 0)
        self._ring[first] = values[first, None]
        self._last = np.where(known, values, self._last)
        # Written twice, so that the window is always one slice.
        self._ring[:, self._place] = self._ring[:, self._place + WINDOW] = self._last
        self._place = (self._place + 1) % WINDOW
        self._count += known
        saliency = self._saliency(self._ring[:, self._place : self._place + WINDOW])
        score = np.where(known & (self._count > _BEFORE), saliency, 0.0)
        alarm = np.where(known, score > _THRESHOLD, self._open)
        began, self._open = rises(alarm, self._open), alarm
        return Decision(began, alarm, alarm, 1.0 - 1.0 / (1.0 + score))

    @staticmethod
    def _saliency(window: FloatArray) -> FloatArray:
        """How far the newest point's saliency is above the mean of those before it, relative; >= 0."""
        newest = window[:, -1]
        back = np.arange(1, _GRADIENT_POINTS + 1)
        gradient = ((newest[:, None] - window[:, -1 - back]) / back).mean(axis=1)
        estimate = window[:, -_GRADIENT_POINTS] + gradient * _GRADIENT_POINTS
        extended = np.hstack([window, np.repeat(estimate[:, None], _ESTIMATED, axis=1)])
        spectrum = np.fft.fft(extended, axis=1)
        amplitude = np.maximum(np.abs(spectrum), _SMALLEST)
        logarithm = np.log(amplitude)
        sums = np.cumsum(np.pad(logarithm, ((0, 0), (_AVERAGED, 0)), mode="edge"), axis=1)
        averaged = (sums[:, _AVERAGED:] - sums[:, :-_AVERAGED]) / _AVERAGED
        residual = np.exp(logarithm - averaged) / amplitude * spectrum
        saliency = np.abs(np.fft.ifft(residual, axis=1))[:, : window.shape[1]]
        before = saliency[:, -_BEFORE - 1 : -1].mean(axis=1)
        return np.asarray(np.maximum(0.0, saliency[:, -1] / np.maximum(before, _SMALLEST) - 1.0))

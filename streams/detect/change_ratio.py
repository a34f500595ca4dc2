"""Method 1: how far a value is from its baseline, relative to the baseline."""

from streams.detect.reading import Reading

# Below this a baseline is nothing that a ratio could be taken of.
SMALLEST_BASELINE = 1e-12


def change_ratio(value: float, baseline: float) -> float | None:
    """Relative change, positive = larger; None when the baseline is zero.

    >>> change_ratio(120.0, 100.0)
    0.2
    """
    size = abs(baseline)
    return (value - baseline) / size if size > SMALLEST_BASELINE else None


class ChangeRatio:
    """Votes when the change in the bad direction passes a ratio.

    threshold: relative change, ratio > 0.
    """

    __slots__ = ("change", "threshold")

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.change = 0.0

    def observe(self, reading: Reading) -> bool:
        """Whether the change is beyond the threshold."""
        self.change = (reading.value - reading.expected) / abs(reading.expected)
        return self.change * reading.sign > self.threshold

    def snapshot(self) -> bytes:
        """Nothing is remembered."""
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing to restore."""

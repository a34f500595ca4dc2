"""Method 2: how many usual standard deviations a value is off; two are suspicious.

Alone it is no alarm: of 5-minute windows in steady noise one in forty is beyond two deviations. It votes beside
`confidence.py`, which knows how often it looks.
"""

from streams.detect.reading import Reading

SIGMAS = 2.0


class ZScore:
    """Votes when the deviation in the bad direction passes `SIGMAS`."""

    __slots__ = ("z",)

    def __init__(self) -> None:
        self.z = 0.0

    def observe(self, reading: Reading) -> bool:
        """Whether the value is beyond two usual deviations."""
        self.z = (reading.value - reading.expected) / (abs(reading.expected) * reading.spread)
        return self.z * reading.sign > SIGMAS

    def snapshot(self) -> bytes:
        """Nothing is remembered."""
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing to restore."""

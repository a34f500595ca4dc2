"""When to try again: exponential, with full jitter, so that many that failed together do not come back together.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from collections.abc import Callable
from dataclasses import dataclass

# 2**40 ms is 35 years: enough, and no integer of a thousand digits after a thousand attempts.
_LARGEST_EXPONENT = 40


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between `initial_ms` and a ceiling that doubles with every attempt up to `max_ms`.

    random: gives numbers in [0, 1).
    """

    initial_ms: int
    max_ms: int
    random: Callable[[], float]

    def wait_ms(self, attempts: int) -> int:
        """How long to wait after `attempts` >= 1 attempts in vain."""
        ceiling_ms = max(self.initial_ms, min(self.max_ms, self.initial_ms << min(attempts, _LARGEST_EXPONENT)))
        return self.initial_ms + round(self.random() * (ceiling_ms - self.initial_ms))

"""What a detector looks like to the table: columns of streams in, alarms and scores out, one step at a time.

Driftline's own banks and every rival are put behind this one face, so that all of them see the same numbers in the
same order and none can look ahead: `observe` is given one step and never sees the next.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Whether a row of the table counts transients as well.
Scope = Literal["lasting", "all"]


class Decision(NamedTuple):
    """What one step decided, a row a stream.

    began: a lasting change was decided at this step. lasting: one is open.
    anomaly: a deviation that may go away is open. score: severity of this step, 0-1.
    """

    began: BoolArray
    lasting: BoolArray
    anomaly: BoolArray
    score: FloatArray


class Method(Protocol):
    """A detector over many streams that share a step."""

    def observe(self, at_ms: int, values: FloatArray) -> Decision:
        """Take one value of every stream; NaN = none at this step."""


class Kind(NamedTuple):
    """How a method is made and how much of a synthetic row it is given.

    create: (streams, step_ms, scope) -> Method; the scope "lasting" may leave out what only finds transients.
    share: of the streams, 0-1: pure Python is too slow for all of them. curves: at most so many samples of real ones.
    """

    create: Callable[[int, int, Scope], Method]
    share: float = 1.0
    real_samples: int = 10_000_000


def rises(now: BoolArray, before: BoolArray) -> BoolArray:
    """Where an alarm begins: a state that was off and is on."""
    return now & ~before

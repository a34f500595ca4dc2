"""`histogram_quantile histogram_fraction` of a vector in which classic and native histograms may meet."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from streams.native.quantile import fraction, quantile
from streams.promql.histogram import BUCKET_LABEL, Buckets, bucket_fraction, bucket_quantile
from streams.promql.matching import United
from streams.promql.native import Natives
from streams.promql.vector import Vector


class HistogramFunction(NamedTuple):
    """A function of one histogram, after its scalar arguments.

    of_buckets: of the bounds and cumulative counts of a classic one. of_native: of a native one.
    """

    of_buckets: Callable[..., float]
    of_native: Callable[..., float]


HISTOGRAM_FUNCTIONS: Final = {
    "histogram_fraction": HistogramFunction(bucket_fraction, fraction),
    "histogram_quantile": HistogramFunction(bucket_quantile, quantile),
}


class EitherKind:
    """The function of each histogram of a vector, of whichever kind it is."""

    def __init__(self, function: HistogramFunction, natives: Natives) -> None:
        self._function = function
        self._natives = natives
        self._buckets = Buckets()
        self._united = United()
        self._met_native = False

    def apply(self, vector: Vector, arguments: Sequence[float]) -> Vector:
        """The function's values at a step, with the names still on."""
        of_buckets = partial(self._function.of_buckets, *arguments)
        classic = self._buckets.apply(of_buckets, self._natives.floats_of(vector))
        # Once met, always united: so that the result's elements stay the same from step to step.
        self._met_native |= bool(self._natives.find(vector).size)
        if not self._met_native:
            return classic
        native = self._natives.measure(partial(self._function.of_native, *arguments), vector)
        return self._united.of(*self._without_conflicts(classic, native))

    def _without_conflicts(self, classic: Vector, native: Vector) -> tuple[Vector, Vector]:
        """Where a native histogram has the labels of a classic one, neither counts."""
        groups = self._buckets.histograms.of(native.domain)
        both = np.flatnonzero(native.present & classic.present[groups])
        both = both[[BUCKET_LABEL not in dict(native.domain.labels(element)) for element in both.tolist()]]
        if not both.size:
            return classic, native
        classic.present[groups[both]] = False
        native.present[both] = False
        return classic, native

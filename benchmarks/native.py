"""Native histograms: microseconds of each function, for twenty samples of thirty buckets, and of a thousand histograms.

python -m benchmarks.native
"""

import timeit
from collections.abc import Callable
from functools import partial

import numpy as np

from streams.native.algebra import added
from streams.native.histogram import EMPTY, Buckets, NativeHistogram, from_message, to_message
from streams.native.over_range import NATIVE
from streams.native.quantile import deviation, fraction, quantile
from streams.native.total import average, total

SAMPLES, BUCKETS = 20, 30
STEP_MS = 15_000


def create_samples() -> list[tuple[int, NativeHistogram]]:
    random = np.random.default_rng(1)
    indices = np.arange(BUCKETS, dtype=np.int32)
    counts = np.cumsum(random.integers(0, 5, (SAMPLES, BUCKETS)), axis=0).astype(np.float64)
    return [
        (
            (place + 1) * STEP_MS,
            NativeHistogram(
                3, "unknown", 2.0**-128, 1.0, float(row.sum()) + 1.0, float(place), Buckets(indices, row), EMPTY
            ),
        )
        for place, row in enumerate(counts)
    ]


def report(name: str, function: Callable[[], object], times: int = 300) -> None:
    best = min(timeit.repeat(function, number=times, repeat=9)) / times
    print(f"{name:20} {best * 1e6:9.1f} us")


def main() -> None:
    samples = create_samples()
    end_ms = (SAMPLES + 1) * STEP_MS
    for name in NATIVE:
        function = NATIVE[name]
        report(name, partial(function, samples, 0, end_ms))
    last, message = samples[-1][1], to_message(samples[-1][1])
    report("quantile", lambda: quantile(0.9, last))
    report("fraction", lambda: fraction(0.0, 5.0, last))
    report("deviation", lambda: deviation(last))
    report("added", lambda: added(last, samples[0][1]))
    report("from_message", lambda: from_message(message))
    many = [histogram for _, histogram in samples] * (1000 // SAMPLES)
    report("total of 1000", lambda: total(many), 3)
    report("average of 1000", lambda: average(many), 3)


if __name__ == "__main__":
    main()

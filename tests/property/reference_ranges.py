"""What the samples of one series in a range come to, the obvious way: part of `reference_promql.py`."""

import math
from collections.abc import Callable
from itertools import pairwise

Sample = tuple[int, float]


def over_range(name: str, samples: list[Sample], begin: int, end: int) -> float | None:
    if name in {"rate", "increase", "delta"}:
        return extrapolated(name, samples, begin, end)
    if name in {"irate", "idelta"}:
        return between_last_two(name, samples)
    if name == "deriv":
        return slope(samples)
    return OVER_TIME[name]([value for _, value in samples])


def slope(samples: list[Sample]) -> float | None:
    """The textbook's least squares from exact sums of rounded products, as Prometheus has it.

    From exact products it would differ: where a counter rises by little, most digits cancel, and what the products were
    rounded by is left.
    """
    if len(samples) < 2:
        return None
    if not all(math.isfinite(v) for _, v in samples):
        return math.nan
    xs = [(t - samples[0][0]) / 1000 for t, _ in samples]
    ys = [v for _, v in samples]
    if len(set(ys)) == 1:
        return 0.0
    x, y = math.fsum(xs), math.fsum(ys)
    xy, xx = math.fsum(a * b for a, b in zip(xs, ys, strict=True)), math.fsum(a * a for a in xs)
    return (xy - x * y / len(xs)) / (xx - x * x / len(xs))


def median(values: list[float]) -> float:
    ordered = sorted(values, key=lambda v: (not math.isnan(v), v))
    rank = 0.5 * (len(ordered) - 1)
    lower = math.floor(rank)
    weight = rank - lower
    # An infinity beside the middle makes NaN, even by no weight at all.
    return ordered[lower] * (1 - weight) + ordered[min(lower + 1, len(ordered) - 1)] * weight


def between_last_two(name: str, samples: list[Sample]) -> float | None:
    if len(samples) < 2:
        return None
    (t0, v0), (t1, v1) = samples[-2:]
    change = v1 if name == "irate" and v1 < v0 else v1 - v0
    return change / ((t1 - t0) / 1000) if name == "irate" else change


def extreme(choose: Callable[[list[float]], float]) -> Callable[[list[float]], float]:
    return lambda values: choose([v for v in values if not math.isnan(v)] or [math.nan])


def mean(values: list[float]) -> float:
    return added(values) / len(values)


def deviation(values: list[float]) -> float:
    if not all(map(math.isfinite, values)):
        return math.nan
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - middle) ** 2 for v in values) / len(values))


def added(values: list[float]) -> float:
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


OVER_TIME: dict[str, Callable[[list[float]], float]] = {
    "count_over_time": len,
    "present_over_time": lambda _: 1.0,
    "last_over_time": lambda values: values[-1],
    "min_over_time": extreme(min),
    "max_over_time": extreme(max),
    "sum_over_time": added,
    "changes": lambda values: sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(values)),
    "resets": lambda values: sum(b < a for a, b in pairwise(values)),
    "avg_over_time": mean,
    "stddev_over_time": deviation,
}


def extrapolated(name: str, samples: list[Sample], begin: int, end: int) -> float | None:
    if len(samples) < 2:
        return None
    result = samples[-1][1] - samples[0][1]
    if name != "delta":
        previous = samples[0][1]
        for _, value in samples[1:]:
            if value < previous:
                result += previous
            previous = value
    to_start, to_end = (samples[0][0] - begin) / 1000, (end - samples[-1][0]) / 1000
    sampled = (samples[-1][0] - samples[0][0]) / 1000
    average = sampled / (len(samples) - 1)
    if to_start >= average * 1.1:
        to_start = average / 2
    if name != "delta" and result > 0 and samples[0][1] >= 0:
        to_start = min(to_start, sampled * (samples[0][1] / result))
    if to_end >= average * 1.1:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    if name == "rate":
        factor /= (end - begin) / 1000
    return result * factor

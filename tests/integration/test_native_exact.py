"""What is computed from native histograms are Prometheus' own values: counts, buckets, bounds and text.

Drawn stories are written to a real Prometheus, and each expression is asked for all of them at once.
"""

import http.client
import json
import math
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from random import Random
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pytest

from streams.native.algebra import added, divided, equal, negated, scaled, subtracted
from streams.native.histogram import NativeHistogram, buckets_of, text_of
from streams.native.over_range import NATIVE, Outcome, without_buckets
from streams.native.quantile import deviation, fraction, mean, quantile, variance
from streams.native.total import average, total
from streams.wire.labels import encode_labels
from streams.wire.request import compress, join_series
from tests.integration.native_stories import NAMES, SAMPLES, STEP_MS, Story
from tests.servers.prometheus import run_prometheus

pytestmark = pytest.mark.integration

STORIES = 240
RELATIVE = 1e-9


class FloatsError(Exception):
    """Floats are met where an expression then is not about native histograms."""


Compute: TypeAlias = Callable[[Story, int], Outcome | str]
Found = TypeVar("Found", float, str, NativeHistogram)
Histograms: TypeAlias = Callable[[Story, int], Outcome]


def histogram_of(compute: Histograms, story: Story, at_ms: int) -> NativeHistogram | None:
    value = compute(story, at_ms)
    if isinstance(value, float):
        raise FloatsError
    return value


def over(function: str, name: str, seconds: int, *, bare: bool = False) -> Histograms:
    def apply(story: Story, at_ms: int) -> Outcome:
        begin_ms = at_ms - seconds * 1000
        samples = story.between(name, begin_ms, at_ms)
        compute = NATIVE[function]
        return compute(without_buckets(samples) if bare else samples, begin_ms, at_ms)

    return apply


def over_steps(function: str, name: str, seconds: int, step: int) -> Histograms:
    """Of a subquery: what was there at each step."""

    def apply(story: Story, at_ms: int) -> Outcome:
        begin_ms, step_ms = at_ms - seconds * 1000, step * 1000
        steps = range(begin_ms - begin_ms % step_ms + step_ms, at_ms + 1, step_ms)
        samples = [(at, value) for at in steps if (value := story.at(name, at)) is not None]
        return NATIVE[function](samples, begin_ms, at_ms)

    return apply


def latest(name: str) -> Histograms:
    return lambda story, at_ms: story.at(name, at_ms)


def bare(name: str) -> Histograms:
    def apply(story: Story, at_ms: int) -> Outcome:
        value = story.at(name, at_ms)
        return None if value is None else without_buckets([(at_ms, value)])[0][1]

    return apply


def of(compute: Histograms, function: Callable[[NativeHistogram], Found]) -> Callable[[Story, int], Found | None]:
    def apply(story: Story, at_ms: int) -> Found | None:
        histogram = histogram_of(compute, story, at_ms)
        return None if histogram is None else function(histogram)

    return apply


def both(first: Histograms, second: Histograms, function: Callable[..., NativeHistogram | None]) -> Histograms:
    def apply(story: Story, at_ms: int) -> Outcome:
        one, other = histogram_of(first, story, at_ms), histogram_of(second, story, at_ms)
        return None if one is None or other is None else function(one, other)

    return apply


def together(computes: list[Histograms], function: Callable[..., NativeHistogram | None]) -> Histograms:
    def apply(story: Story, at_ms: int) -> Outcome:
        histograms = [histogram_of(compute, story, at_ms) for compute in computes]
        there = [histogram for histogram in histograms if histogram is not None]
        return function(there) if there else None

    return apply


def same(one: NativeHistogram, other: NativeHistogram) -> NativeHistogram | None:
    return one if equal(one, other) else None


def different(one: NativeHistogram, other: NativeHistogram) -> NativeHistogram | None:
    return None if equal(one, other) else one


F, G, H = (latest(name) for name in NAMES)
RATE, INCREASE = over("rate", "h", 240), over("increase", "h", 240)
RATES = together([over("rate", name, 240) for name in NAMES], total)
ALL = '{__name__=~"f|g|h"}'
LIMITS = (("-Inf", "1"), ("0", "0.3"), ("-1.7", "3.3"), ("0.25", "Inf"), ("2", "2"), ("-0.1", "0.1"), ("1", "1.1"))
OPERATIONS: dict[str, Compute] = {
    "h": H,
    "h * 3": of(H, lambda h: scaled(h, 3.0)),
    "-0.5 * h": of(H, lambda h: scaled(h, -0.5)),
    "h * 0": of(H, lambda h: scaled(h, 0.0)),
    "h / 4": of(H, lambda h: divided(h, 4.0)),
    "h / 0": of(H, lambda h: divided(h, 0.0)),
    "-h": of(H, negated),
    "h + on (story) g": both(H, G, added),
    "h - on (story) g": both(H, G, subtracted),
    "rate(h[4m]) + on (story) g": both(RATE, G, added),
    "g - on (story) increase(h[4m])": both(G, INCREASE, subtracted),
    "h == on (story) g": both(H, G, same),
    "h == on (story) last_over_time(h[5m])": both(H, H, same),
    "h != on (story) last_over_time(g[5m])": both(H, over("last_over_time", "g", 300), different),
    f"sum by (story) ({ALL})": together([F, G, H], total),
    f"avg by (story) ({ALL})": together([F, G, H], average),
    f"sum by (story) (rate({ALL}[4m]))": RATES,
    f"histogram_quantile(0.9, sum by (story) (rate({ALL}[4m])))": of(RATES, partial(quantile, 0.9)),
    "histogram_avg(h)": of(H, mean),
    "histogram_stddev(h)": of(H, deviation),
    "histogram_stdvar(h)": of(H, variance),
    "histogram_stddev(rate(h[4m]))": of(RATE, deviation),
    "histogram_stddev(g - on (story) h)": of(both(G, H, subtracted), deviation),
    "histogram_count(increase(h[4m]))": of(over("increase", "h", 240, bare=True), lambda h: h.count),
    f"histogram_count(avg by (story) ({ALL}))": of(
        together([bare(name) for name in NAMES], average), lambda h: h.count
    ),
    "histogram_sum(increase(h[4m]))": of(over("increase", "h", 240, bare=True), lambda h: h.sum),
    'count_values by (story) ("text", h)': of(H, text_of),
    'count_values by (story) ("text", rate(h[4m]))': of(RATE, text_of),
    'count_values by (story) ("text", h / 3)': of(H, lambda h: text_of(divided(h, 3.0))),
    'count_values by (story) ("text", g - on (story) h)': of(both(G, H, subtracted), text_of),
}


def expressions() -> Iterator[tuple[str, Compute]]:
    for function in NATIVE:
        for seconds in (60, 300):
            yield f"{function}(h[{seconds}s])", over(function, "h", seconds)
        yield f"{function}(h[300s:20s])", over_steps(function, "h", 300, 20)
    for q in (0.0, 0.05, 0.5, 0.9, 0.999, 1.0, -1.0, 2.0):
        yield f"histogram_quantile({q}, h)", of(H, partial(quantile, q))
        yield f"histogram_quantile({q}, rate(h[4m]))", of(RATE, partial(quantile, q))
        yield f"histogram_quantile({q}, g - on (story) h)", of(both(G, H, subtracted), partial(quantile, q))
    for lower, upper in LIMITS:
        share = partial(fraction, float(lower), float(upper))
        # Empty buckets within the zero bucket would matter.
        yield f"histogram_fraction({lower}, {upper}, h * 1)", of(of(H, partial(scaled, factor=1.0)), share)
        yield f"histogram_fraction({lower}, {upper}, rate(h[4m]))", of(RATE, share)
    yield from OPERATIONS.items()


class Peer:
    """A Prometheus over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status < 300, content
        return content

    def query(self, text: str, at_ms: int) -> dict[int, Any]:
        """Each story's element."""
        form = urllib.parse.urlencode({"query": text, "time": f"{at_ms / 1000:.3f}"}).encode()
        answer = json.loads(self._post("/api/v1/query", form, {"Content-Type": "application/x-www-form-urlencoded"}))
        return {int(element["metric"]["story"]): element for element in answer["data"]["result"]}

    def write(self, story: Story, number: int) -> None:
        # A frame for every sample: of a frame's floats and histograms Prometheus takes the floats first.
        frames = [
            encode_labels({"__name__": name, "story": str(number), "kind": name}) + content
            for name in NAMES
            for _, content, _ in story.series[name]
        ]
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        self._post("/api/v1/write", compress(join_series(frames)), headers)


def is_close(found: float, expected: float) -> bool:
    return (math.isnan(found) and math.isnan(expected)) or math.isclose(found, expected, rel_tol=RELATIVE)


def is_same_histogram(found: NativeHistogram, shown: dict[str, Any]) -> bool:
    buckets = list(buckets_of(found))
    theirs = [(int(rule), *map(float, rest)) for rule, *rest in shown.get("buckets", [])]
    return (
        is_close(found.count, float(shown["count"]))
        and is_close(found.sum, float(shown["sum"]))
        # To the last bit: where buckets end becomes text.
        and [(bucket.rule, bucket.lower, bucket.upper) for bucket in buckets] == [row[:3] for row in theirs]
        and all(is_close(bucket.observations, row[3]) for bucket, row in zip(buckets, theirs, strict=True))
    )


def agrees(found: Outcome | str, element: dict[str, Any] | None) -> bool:
    if found is None or element is None:
        return found is None and element is None
    if isinstance(found, str):
        return bool(element["metric"]["text"] == found)
    if isinstance(found, NativeHistogram):
        return "histogram" in element and is_same_histogram(found, element["histogram"][1])
    return "value" in element and is_close(found, float(element["value"][1]))


class Tally:
    """compared: values that both have. left_out: floats in a place where only histograms are asked for."""

    def __init__(self) -> None:
        self.compared, self.left_out = 0, 0
        self.wrong: list[str] = []

    def compare(self, text: str, compute: Compute, at_ms: int, stories: list[Story], theirs: dict[int, Any]) -> None:
        for number, story in enumerate(stories):
            try:
                with np.errstate(all="ignore"):
                    found = compute(story, at_ms)
            except FloatsError:
                self.left_out += 1
                continue
            self.compared += found is not None
            if not agrees(found, theirs.get(number)):
                shown = text_of(found) if isinstance(found, NativeHistogram) else found
                self.wrong.append(f"{text} at {at_ms}, story {number}: {shown}, expected {theirs.get(number)}")


@pytest.mark.timeout(120)
def test_native_histograms_have_the_values_of_prometheus(capsys: pytest.CaptureFixture[str]) -> None:
    random, end_ms = Random(11), int(time.time()) * 1000
    stories = [Story(random, end_ms) for _ in range(STORIES)]
    tally = Tally()
    prometheus = run_prometheus("", "--web.enable-remote-write-receiver", "--log.level=error")
    with prometheus as server, closing(Peer(server.port)) as peer:
        for number, story in enumerate(stories):
            peer.write(story, number)
        for text, compute in expressions():
            at_ms = end_ms - random.randrange(SAMPLES // 2) * STEP_MS + random.randrange(1_000)
            tally.compare(text, compute, at_ms, stories, peer.query(text, at_ms))
    with capsys.disabled():
        sys.stdout.write(f"\nnative histograms: {tally.compared} values compared, {len(tally.wrong)} differ\n")
    assert not tally.wrong, "\n".join([f"{len(tally.wrong)} differ", *tally.wrong[:5]])
    assert tally.compared > 60 * STORIES
    assert tally.left_out < tally.compared / 50

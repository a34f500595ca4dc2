"""What both sides answer, and whether it is the same."""

import http.client
import json
import math
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

import numpy as np

from streams.native.histogram import NativeHistogram, buckets_of
from streams.promql.evaluate import elements_of
from streams.promql.expression import Expression
from streams.promql.plan import Part, Plan
from streams.promql.vector import EvaluationError
from streams.wire.request import compress
from tests.differential.series import Stored

RELATIVE = 1e-9
Labels = tuple[tuple[str, str], ...]
# A number of an element: its labels, and "" for its value, else which number of its native histogram.
Key = tuple[Labels, str]
# Numbers by element; None = the query failed. A scalar is the element without labels.
Answer = Mapping[Key, float] | None
COUNT, SUM = "count", "sum"
_BRACKETS = ("(]", "[)", "()", "[]")  # by the API's number for whether bounds are inside


class Peer:
    """A Prometheus over one connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def write(self, write_request: bytes) -> None:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        status, body = self._post("/api/v1/write", compress(write_request), headers)
        assert status < 300, body

    def query(self, text: str, at_ms: int) -> Answer:
        form = urllib.parse.urlencode({"query": text, "time": f"{at_ms / 1000:.3f}"}).encode()
        status, body = self._post("/api/v1/query", form, {"Content-Type": "application/x-www-form-urlencoded"})
        content = json.loads(body)
        if status == 422 and content["errorType"] == "execution":
            return None
        assert status == 200, f"{text}: {content}"
        data = content["data"]
        answer: dict[Key, float] = {}
        if data["resultType"] == "scalar":
            answer[(), ""] = float(data["result"][1])
            return answer
        for item in data["result"]:
            labels = tuple(sorted(item["metric"].items()))
            if "histogram" in item:
                answer.update(_parts_of_message(labels, item["histogram"][1]))
            else:
                answer[labels, ""] = float(item["value"][1])
        return answer

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._connection.request("POST", path, body, dict(headers))
        response = self._connection.getresponse()
        return response.status, response.read()


class _Written(TypedDict):
    """A native histogram in an answer of the API."""

    count: str
    sum: str
    buckets: NotRequired[list[tuple[int, str, str, str]]]


def _parts_of_message(labels: Labels, histogram: _Written) -> dict[Key, float]:
    parts = {(labels, COUNT): float(histogram["count"]), (labels, SUM): float(histogram["sum"])}
    for inside, lower, upper, count in histogram.get("buckets", []):
        parts[labels, _bucket(float(lower), float(upper), _BRACKETS[inside])] = float(count)
    return parts


def _bucket(lower: float, upper: float, brackets: str) -> str:
    """A bucket's name; its bounds, too, are equal to 1e-9."""
    return f"{brackets[0]}{lower:.10g}, {upper:.10g}{brackets[1]}"


def evaluate(stored: Stored, expression: Expression, at_ms: int, before: int, kind: type[Plan] = Plan) -> Answer:
    """Driftline's answer.

    Args:
        before: how many steps of 15 s came before this one, whose windows then move on.
    """
    plan = stored.plan(kind)
    part = plan.part(expression)
    with np.errstate(all="ignore"):
        for step in range(before, 0, -1):
            _at(plan, part, at_ms - step * 15_000)
        return _at(plan, part, at_ms)


def _at(plan: Plan, part: Part, step_ms: int) -> Answer:
    try:
        value = part.at(step_ms)
    except EvaluationError:
        return None
    elements = elements_of(value, plan.natives)
    assert len({element.labels for element in elements}) == len(elements), "several elements have the same labels"
    answer: dict[Key, float] = {}
    for element in elements:
        if isinstance(element.value, NativeHistogram):
            answer.update(_parts_of_value(element.labels, element.value))
        else:
            answer[element.labels, ""] = element.value
    return answer


def _parts_of_value(labels: Labels, histogram: NativeHistogram) -> dict[Key, float]:
    parts = {(labels, COUNT): histogram.count, (labels, SUM): histogram.sum}
    for lower, upper, count, inside in buckets_of(histogram):
        parts[labels, _bucket(lower, upper, _BRACKETS[inside])] = count
    return parts


def elements_in(answer: Mapping[Key, float]) -> set[Key]:
    """The elements of an answer, and which of them are histograms."""
    return {(labels, part) for labels, part in answer if part in {"", COUNT}}


def number_at(answer: Mapping[Key, float], key: Key) -> float | None:
    """A number of an answer; None = it has none.

    A bucket that a histogram does not have is empty, and so NaN where all numbers were multiplied with NaN: which empty
    buckets Prometheus has depends on what its storage put together.
    """
    labels, part = key
    number = answer.get(key)
    if number is None and part not in {"", COUNT, SUM} and (count := answer.get((labels, COUNT))) is not None:
        return 0.0 * count
    return number


def difference(found: float, expected: float) -> float:
    """Relative; infinite where they cannot be compared."""
    if found == expected or (math.isnan(found) and math.isnan(expected)):
        return 0.0
    if not (math.isfinite(found) and math.isfinite(expected)):
        return math.inf
    return abs(found - expected) / max(abs(found), abs(expected))


@dataclass(slots=True)
class Verdict:
    """How two answers compare. wrong: what differs. worst: the largest difference of what does not."""

    wrong: list[str] = field(default_factory=list)
    worst: float = 0.0


def compare(ours: Answer, theirs: Answer) -> Verdict:
    verdict = Verdict()
    if ours is None or theirs is None:
        if ours is not theirs:
            verdict.wrong.append("one of them failed")
        return verdict
    for key in sorted(ours.keys() | theirs.keys()):
        found, expected = number_at(ours, key), number_at(theirs, key)
        what = f"{dict(key[0])} {key[1]}"
        if found is None or expected is None:
            verdict.wrong.append(f"{what}: only {'Prometheus' if found is None else 'Driftline'} has it")
            continue
        off = difference(found, expected)
        if off > RELATIVE:
            verdict.wrong.append(f"{what}: {found!r}, expected {expected!r}")
        else:
            verdict.worst = max(verdict.worst, off)
    return verdict

"""What both sides answer, and whether it is the same."""

import http.client
import json
import math
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import numpy as np

from streams.promql.evaluate import elements_of
from streams.promql.expression import Aggregation, Binary, Call, Expression
from streams.promql.functions import AGGREGATORS
from streams.promql.lanes import Feed, Lanes
from streams.promql.parse import parse_expression
from streams.promql.plan import Evaluate, Part, Plan
from streams.promql.subquery import Replay
from streams.promql.vector import EvaluationError, Grouping, Value, Vector
from streams.series.arrays import Floats, Indices
from streams.wire.request import compress
from tests.differential.series import Stored

RELATIVE = 1e-9
Labels = tuple[tuple[str, str], ...]
# Values by labels; None = the query failed. A scalar is the element without labels.
Answer = Mapping[Labels, float] | None


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
        answer = json.loads(body)
        if status == 422 and answer["errorType"] == "execution":
            return None
        assert status == 200, f"{text}: {answer}"
        data = answer["data"]
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return {tuple(sorted(item["metric"].items())): float(item["value"][1]) for item in data["result"]}

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._connection.request("POST", path, body, dict(headers))
        response = self._connection.getresponse()
        return response.status, response.read()


def evaluate(stored: Stored, expression: Expression, at_ms: int, before: int, kind: type[Plan] = Plan) -> Answer:
    """Driftline's answer.

    Args:
        before: how many steps of 15 s came before this one, whose windows then move on.
    """
    part = stored.plan(kind).part(expression)
    with np.errstate(all="ignore"):
        for step in range(before, 0, -1):
            _at(part, at_ms - step * 15_000)
        return _at(part, at_ms)


def _at(part: Part, step_ms: int) -> Answer:
    try:
        value = part.at(step_ms)
    except EvaluationError:
        return None
    elements = elements_of(value)
    answer = {element.labels: element.value for element in elements}
    assert len(answer) == len(elements), "several elements have the same labels"
    return answer


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
    for labels in sorted(ours.keys() | theirs.keys()):
        if labels not in ours or labels not in theirs:
            verdict.wrong.append(f"{dict(labels)}: only {'Driftline' if labels in ours else 'Prometheus'} has it")
            continue
        off = difference(ours[labels], theirs[labels])
        if off > RELATIVE:
            verdict.wrong.append(f"{dict(labels)}: {ours[labels]!r}, expected {theirs[labels]!r}")
        else:
            verdict.worst = max(verdict.worst, off)
    return verdict


# Functions that give the same bits on every machine and in every order: nothing is added up or approximated.
_EXACT = frozenset(
    {
        "abs", "absent", "absent_over_time", "ceil", "changes", "clamp", "clamp_max", "clamp_min", "count_over_time",
        "day_of_month", "day_of_week", "day_of_year", "days_in_month", "floor", "hour", "label_join", "label_replace",
        "last_over_time", "max_over_time", "min_over_time", "minute", "month", "present_over_time", "resets", "round",
        "scalar", "sgn", "sort", "sort_desc", "sqrt", "time", "timestamp", "vector", "year", "pi",
    }
)  # fmt: skip
_ADDED = frozenset({"sum", "avg", "stddev", "stdvar"})


class Shaken(Plan):
    """A plan whose sums and approximations are off by some units in the last place, as another order would have them.

    What answers something else then has no value to 1e-9, in Prometheus neither: the order of its series is its own.
    """

    random = Random(0)

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes)
        self._all: list[Part | Replay] = []

    def part(self, expression: Expression) -> Part:
        """A part of its own for each occurrence: Prometheus computes each anew, in another order."""
        part = Part(self._compile(expression))
        self._all.append(part)
        return part

    def forget(self) -> None:
        super().forget()
        for part in self._all:
            part.forget()

    def _source(self, node: Expression) -> Feed | Replay:
        source = super()._source(node)
        if isinstance(source, Replay):
            self._replays.clear()
            self._all.append(source)
        return source

    def _compile(self, node: Expression) -> Evaluate:
        evaluate = super()._compile(node)
        match node:
            case Call() if node.function not in _EXACT:
                return self._shaking(evaluate)
            case Aggregation() if node.operator in _ADDED or node.operator == "quantile":
                return self._shaking(evaluate)
            case Binary() if node.operator in {"^", "atan2"}:
                return self._shaking(evaluate)
        return evaluate

    def _shaking(self, evaluate: Evaluate) -> Evaluate:
        def shaken(step_ms: int) -> Value:
            value = evaluate(step_ms)
            if isinstance(value, Vector):
                return Vector(value.domain, self._shake(value.values), value.present)
            return float(self._shake(np.array([value]))[0])

        return shaken

    def _shake(self, values: Floats) -> Floats:
        shaken: Floats = values * np.array([1.0 + self.random.randrange(-4, 5) * 2.0**-52 for _ in values])
        return shaken

    def _fold(
        self, operand: Part, grouping: Grouping, compute: Callable[[Floats, Indices, int], Floats]
    ) -> Callable[[int], Vector]:
        if compute in {AGGREGATORS[name] for name in _ADDED}:
            inner = compute

            def compute(values: Floats, groups: Indices, size: int) -> Floats:
                return inner(self._shake(values), groups, size)

        return super()._fold(operand, grouping, compute)


def _gap(first: float, second: float) -> float:
    """Absolute; infinite where they cannot be compared."""
    off = difference(first, second)
    return abs(first - second) if 0.0 < off < math.inf else off


def is_undetermined(stored: Stored, text: str, at_ms: int, ours: Answer, theirs: Answer) -> bool:
    """Whether the two answers differ by no more than rounding can make of the expression."""
    expression = parse_expression(text)
    shaken = [evaluate(stored, expression, at_ms, 0, Shaken) for _ in range(24)]
    if ours is None or theirs is None:
        return any((answer is None) != (ours is None) for answer in shaken)
    answers = [answer for answer in shaken if answer is not None]
    if ours.keys() != theirs.keys() and all(answer.keys() == ours.keys() for answer in answers):
        return False
    for labels in ours.keys() & theirs.keys():
        moved = max((_gap(answer[labels], ours[labels]) for answer in answers if labels in answer), default=0.0)
        if difference(ours[labels], theirs[labels]) > RELATIVE and _gap(ours[labels], theirs[labels]) > 100 * moved:
            return False
    return True

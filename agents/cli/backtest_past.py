"""What would have fired, from a Prometheus: it evaluates a budget's expressions over the past, the Judge judges.

The past comes in pieces, and each is judged before the next is asked for, so memory does not grow with it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from agents.prometheus import Element, PrometheusClient, pieces_of
from budgets.event import AlertEvent
from budgets.judge import Judge
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import queries_of
from streams.frame import IndicatorFrame, Points, point_id
from streams.query import Query
from streams.series.labels import METRIC_NAME

# Steps a request; its answer for thousands of groups is in memory.
_PIECE_STEPS = 5_000
_REQUESTS_AT_ONCE = 4

Column = list[float | None]


@dataclass(frozen=True, slots=True)
class Past:
    """Which steps to look at, Unix ms, both inclusive and multiples of `step_ms`."""

    first_ms: int
    last_ms: int
    step_ms: int

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """What is asked for at once."""
        return list(pieces_of(self.first_ms, self.last_ms, self.step_ms, _PIECE_STEPS))


@dataclass(slots=True)
class Judged:
    """What came of it. values: how many the Judge was asked about; first_ms: the first step that had one."""

    events: list[AlertEvent]
    values: int = 0
    steps: int = 0
    first_ms: int | None = None


async def judge_past(url: str, budgets: Sequence[ServiceBudget], past: Past, show: Callable[[int], None]) -> Judged:
    """Judge every step of the past from the first that has data on; `show` gets the number of pieces that are done.

    Raises:
        SettingsError: not an address.
        QueryError, UnreachableError: what the Prometheus answers.
    """
    judge, judged = Judge(past.step_ms), Judged([])
    for budget in budgets:
        judge.define(budget, budget.service, 0)
    queries = [query for budget in budgets for query in queries_of(budget)]
    async with aiohttp.ClientSession() as session:
        client = PrometheusClient(session, url)
        for done, (first_ms, last_ms) in enumerate(past.pieces, 1):
            columns = await fetch_columns(client, queries, first_ms, last_ms, past.step_ms)
            await asyncio.to_thread(_judge_piece, judge, judged, _frames(columns, first_ms, last_ms, past.step_ms))
            show(done)
    return judged


def _judge_piece(judge: Judge, judged: Judged, frames: Iterator[IndicatorFrame]) -> None:
    for frame in frames:
        known = len(frame.points.value) - frame.points.value.count(None)
        if judged.first_ms is None and not known:
            continue  # the Prometheus does not remember so far back
        judged.first_ms = judged.first_ms or frame.at
        judged.values += known
        judged.steps += 1
        judged.events += judge.observe(frame)


async def fetch_columns(
    client: PrometheusClient, queries: Sequence[Query], first_ms: int, last_ms: int, step_ms: int
) -> dict[str, tuple[Column, Column]]:
    """Point id -> values and weights of one piece."""
    free = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def ask(expr: str | None) -> list[Element]:
        if expr is None:
            return []
        async with free:
            return await client.query_range(expr, first_ms, last_ms, step_ms)

    values = await asyncio.gather(*(ask(query.expr) for query in queries))
    weights = await asyncio.gather(*(ask(query.weight_expr) for query in queries))
    columns: dict[str, tuple[Column, Column]] = {}
    nothing: Column = [None] * ((last_ms - first_ms) // step_ms + 1)
    for query, value, weight in zip(queries, values, weights, strict=True):
        weight_of = _by_point(query.id, weight)
        total = weight_of.get(query.id, nothing)
        for point, column in _by_point(query.id, value).items():
            columns[point] = (column, weight_of.get(point, total))
    return columns


def _by_point(query_id: str, elements: Sequence[Element]) -> dict[str, Column]:
    return {
        point_id(query_id, {name: value for name, value in each.labels.items() if name != METRIC_NAME}): each.values
        for each in elements
    }


def _frames(
    columns: Mapping[str, tuple[Column, Column]], first_ms: int, last_ms: int, step_ms: int
) -> Iterator[IndicatorFrame]:
    ids = sorted(columns)
    values = [columns[point][0] for point in ids]
    weights = [columns[point][1] for point in ids]
    for row, at in enumerate(range(first_ms, last_ms + 1, step_ms)):
        points = Points(ids, [column[row] for column in values], [column[row] for column in weights])
        yield IndicatorFrame(at, step_ms, points)

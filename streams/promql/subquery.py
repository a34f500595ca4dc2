"""Subqueries: a vector at many moments, read as samples by the functions over ranges.

Every step evaluates the inner expression anew at all moments of the range. Nothing is kept from step to step: a sample
that arrived in between would tell a worker that goes on from one that was restarted.
"""

from collections.abc import Callable

import numpy as np

from streams.promql.column import Column, compute_all
from streams.promql.expression import Subquery
from streams.promql.numbered import ElementNumbers
from streams.promql.vector import Vector
from streams.series.columns import OLDEST, Columns
from streams.series.window import Span, Window

# A day of minutes. What is beyond costs more than a step has time for.
MOST_EVALUATIONS = 1_440


class Replay:
    """One subquery at a step; reads like a selector.

    evaluate: the inner expression at a moment. forget: makes it ready for moments before the latest one.
    columns: makes room for what it comes to.
    """

    def __init__(
        self,
        node: Subquery,
        evaluate: Callable[[int], Vector],
        forget: Callable[[], None],
        columns: Callable[[], Columns],
    ) -> None:
        self._node = node
        self._evaluate = evaluate
        self._forget = forget
        self._columns = columns
        self._elements = ElementNumbers()
        self._step_ms: int | None = None
        self._spans: list[Span] = []
        self._in_use = 0

    def forget(self) -> None:
        """Be ready for steps that lie before the latest one."""
        self._step_ms = None

    def read(self, compute: Callable[..., Column], step_ms: int, *arguments: float) -> Vector:
        """The function's values at a step, with its scalar arguments.

        Raises:
            EvaluationError: the inner expression has no value at one of the moments.
        """
        if step_ms != self._step_ms:
            self._elements.tidy(self._in_use)
            self._spans = self._play(step_ms)
            self._step_ms = step_ms
        column = compute_all(compute, self._spans, arguments)
        # Elements that were met before, and not now, have no samples.
        return Vector(self._elements.numbered, column.values, column.present)

    def _play(self, step_ms: int) -> list[Span]:
        node, columns = self._node, self._columns()
        end_ms = columns.epoch_ms = step_ms - node.offset_ms
        self._forget()
        used = 0
        for moment_ms in node.times_before(step_ms):
            vector = self._evaluate(moment_ms)
            present = np.flatnonzero(vector.present)
            used = max(used, len(present))
            rows = self._elements.of(vector.domain)[present].astype(np.int32)
            while columns.size < self._elements.numbered.size:
                columns.add_row()
            if rows.size:
                times = np.full(len(rows), moment_ms - end_ms, np.int32)
                columns.append(rows, times, vector.values[present], int(OLDEST), node.range_ms)
        self._in_use = used
        window = Window(columns, node.range_ms, 0)
        while columns.size < self._elements.numbered.size:
            columns.add_row()
        window.cover(np.arange(columns.size, dtype=np.int32))
        return window.move_to(0)

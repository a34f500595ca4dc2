"""Operators between two vectors: whose elements meet, and under which labels.

Which signature an element has, which signatures of the two sides are the same and what the result's labels are is kept
from step to step; a step only looks at what is present.
"""

import numpy as np

from streams.promql.arithmetic import ARITHMETIC, COMPARISONS
from streams.promql.expression import Matching
from streams.promql.native import Natives
from streams.promql.vector import Domain, EvaluationError, Grouping, Vector
from streams.series.arrays import Floats, Indices, Mask
from streams.series.labels import METRIC_NAME, Labels, drop_labels, drop_name, keep_labels


class Signatures:
    """Which elements of two vectors agree in the labels that matter."""

    def __init__(self, matching: Matching) -> None:
        names = frozenset(matching.labels)
        self._on = matching.on
        self._names = names if matching.on else names | {METRIC_NAME}
        self._sides = (Grouping(self._signature), Grouping(self._signature))
        self._state: tuple[int, ...] = ()
        self._across: Indices = np.zeros(0, np.intp)

    def of(self, many: Domain, one: Domain) -> tuple[Indices, Indices, int]:
        """The signatures of both sides' elements in the second one's numbers, and how many of those there are.

        An element of the first side whose signature the second does not have gets the number after the last.
        """
        left, right = self._sides
        left_numbers, right_numbers = left.of(many), right.of(one)
        state = (left.generation, left.size, right.generation, right.size)
        if state != self._state:
            numbers = {right.labels(number): number for number in range(right.size)}
            across = [numbers.get(left.labels(number), right.size) for number in range(left.size)]
            self._across, self._state = np.array(across, np.intp), state
        return self._across[left_numbers], right_numbers, right.size

    def _signature(self, labels: Labels) -> Labels:
        return keep_labels(labels, self._names) if self._on else drop_labels(labels, self._names)


class _Pairs:
    """The labels of results, as a domain: numbered as they are met, anew when either side is renumbered."""

    def __init__(self, matching: Matching, *, drops_name: bool) -> None:
        self._matching = matching
        self._drops_name = drops_name
        self._labels: list[Labels] = []
        self._numbers: dict[Labels, int] = {}
        self._state: tuple[object, ...] = ()
        self._partners: Indices = np.zeros(0, np.intp)
        self._results: Indices = np.zeros(0, np.intp)
        self.generation = 0
        self.kept: Mask = np.zeros(0, np.bool_)

    @property
    def size(self) -> int:
        return len(self._labels)

    def labels(self, element: int) -> Labels:
        return self._labels[element]

    def of(self, many: Domain, one: Domain, elements: Indices, partners: Indices) -> Indices:
        """The results' numbers for elements of the one side and their partners of the other."""
        state = (many, many.generation, one, one.generation)
        if state != self._state:
            self.kept = np.zeros(len(self._labels), np.bool_)
            self.generation += bool(self._labels)
            self._labels, self._numbers = [], {}
            self._partners = np.full(many.size, -1, np.intp)
            self._results = np.zeros(many.size, np.intp)
            self._state = state
        if many.size > len(self._partners):
            more = many.size - len(self._partners)
            self._partners = np.concatenate((self._partners, np.full(more, -1, np.intp)))
            self._results = np.concatenate((self._results, np.zeros(more, np.intp)))
        for place in np.flatnonzero(self._partners[elements] != partners).tolist():
            element, partner = int(elements[place]), int(partners[place])
            self._partners[element] = partner
            self._results[element] = self._number(self._result(many.labels(element), one.labels(partner)))
        return self._results[elements]

    def _number(self, labels: Labels) -> int:
        number = self._numbers.get(labels)
        if number is None:
            number = self._numbers[labels] = len(self._labels)
            self._labels.append(labels)
        return number

    def _result(self, many: Labels, one: Labels) -> Labels:
        matching = self._matching
        labels = drop_name(many) if self._drops_name else many
        names = frozenset(matching.labels)
        if matching.many is None:
            labels = keep_labels(labels, names) if matching.on else drop_labels(labels, names)
        if matching.include:
            included = frozenset(matching.include)
            labels = tuple(sorted((*drop_labels(labels, included), *keep_labels(one, included))))
        return labels


class VectorOperator:
    """Arithmetic or a comparison between two vectors, one to one or many to one."""

    def __init__(self, operator: str, matching: Matching, natives: Natives, *, as_bool: bool) -> None:
        self._operator = operator
        self._natives = natives
        self._matching = matching
        self._as_bool = as_bool
        self._signatures = Signatures(matching)
        self._pairs = _Pairs(matching, drops_name=as_bool or operator in ARITHMETIC)

    def apply(self, left: Vector, right: Vector) -> Vector:
        """The operator's result at a step.

        Raises:
            EvaluationError: several elements have the labels by which one is looked for.
        """
        swapped = self._matching.many == "right"
        many, one = (right, left) if swapped else (left, right)
        elements, partners, signatures = self._meet(many, one, "left" if swapped else "right")
        many_values, one_values = many.values[elements], one.values[partners]
        values, keeps = self._compute(*((one_values, many_values) if swapped else (many_values, one_values)))
        if not keeps.all():
            elements, partners, signatures, values = elements[keeps], partners[keeps], signatures[keeps], values[keeps]
        if self._matching.many is None and _repeats(signatures):
            raise EvaluationError("many-to-one matching must be explicit (group_left, group_right)")
        results = self._pairs.of(many.domain, one.domain, elements, partners)
        if _repeats(results):
            raise EvaluationError("grouping labels must ensure unique matches")
        out, present = np.zeros(self._pairs.size), np.zeros(self._pairs.size, np.bool_)
        out[results], present[results] = values, True
        return Vector(self._pairs, out, present)

    def _compute(self, left: Floats, right: Floats) -> tuple[Floats, Mask]:
        """The result of each pair, and which of them there are."""
        if self._operator in ARITHMETIC:
            values = ARITHMETIC[self._operator](left, right)
            return self._natives.combine(self._operator, left, right, values)
        holds = COMPARISONS[self._operator](left, right)
        holds, valid = self._natives.compare(self._operator, left, right, holds)
        return (holds.astype(np.float64), valid) if self._as_bool else (left, holds & valid)

    def _meet(self, many: Vector, one: Vector, one_side: str) -> tuple[Indices, Indices, Indices]:
        """The elements that have a partner, their partners and the signatures by which they met."""
        elements = np.flatnonzero(many.present)
        others = np.flatnonzero(one.present)
        nothing = np.zeros(0, np.intp)
        if not elements.size or not others.size:
            return nothing, nothing, nothing
        signatures, other_signatures, count = self._signatures.of(many.domain, one.domain)
        holders = np.full(count + 1, -1, np.intp)
        holders[other_signatures[others]] = others
        if np.count_nonzero(holders >= 0) < len(others):
            raise EvaluationError(f"many-to-many matching: labels must be unique on the {one_side} side")
        wanted = signatures[elements]
        partners = holders[wanted]
        met = partners >= 0
        return elements[met], partners[met], wanted[met]


class SetOperator:
    """`and`, `or`, `unless`."""

    def __init__(self, operator: str, matching: Matching) -> None:
        self._operator = operator
        self._signatures = Signatures(matching)
        self._united = United()

    def apply(self, left: Vector, right: Vector) -> Vector:
        """The operator's result at a step."""
        if self._operator == "or":
            has_right = self._has(right, left)
            return self._united.of(left, Vector(right.domain, right.values, right.present & ~has_right))
        has_left = self._has(left, right)
        return Vector(left.domain, left.values, left.present & (has_left if self._operator == "and" else ~has_left))

    def _has(self, of: Vector, among: Vector) -> Mask:
        """Which elements of a vector have their signature among those of another one."""
        signatures, others, count = self._signatures.of(of.domain, among.domain)
        there = np.zeros(count + 1, np.bool_)
        there[others[among.present]] = True
        return there[signatures]


class United:
    """The elements of two vectors as one domain. Elements of equal labels do not meet: `or` has seen to it."""

    def __init__(self) -> None:
        self._parts: tuple[Domain, Domain] | None = None
        self._seen = (0, 0, 0, 0)
        self._elements: list[tuple[Domain, int]] = []
        self.generation = 0
        self.kept: Mask = np.zeros(0, np.bool_)

    @property
    def size(self) -> int:
        """How many elements there are."""
        return len(self._elements)

    def labels(self, element: int) -> Labels:
        """The labels of an element."""
        domain, inner = self._elements[element]
        return domain.labels(inner)

    def of(self, left: Vector, right: Vector) -> Vector:
        """The elements of both."""
        state = (left.domain.generation, left.domain.size, right.domain.generation, right.domain.size)
        if state != self._seen or self._parts != (left.domain, right.domain):
            # Anew: an `or` is for a few elements, and this is once for each new series.
            self.kept = np.zeros(len(self._elements), np.bool_)
            self.generation += bool(self._elements)
            self._elements = [(part.domain, element) for part in (left, right) for element in range(part.domain.size)]
            self._parts, self._seen = (left.domain, right.domain), state
        return Vector(self, np.concatenate((left.values, right.values)), np.concatenate((left.present, right.present)))


def _repeats(numbers: Indices) -> bool:
    return len(numbers) > 1 and len(np.unique(numbers)) < len(numbers)

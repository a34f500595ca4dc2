"""A vector at one step: values and presence over elements that stay the same from step to step.

The elements (their labels) are a *domain*. It grows at its end when series are new, and is renumbered when idle ones
were let go; so what follows from labels (groups, matches, ids) is computed once an element and kept as integers.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streams.series.arrays import Floats, Indices, Mask, grown
from streams.series.labels import Labels, drop_name


class EvaluationError(Exception):
    """An expression has no value at this step: its vectors do not match as it says. Prometheus fails such a query."""


class Domain(Protocol):
    """The elements of a vector.

    generation: counts renumberings. kept: which elements of the generation before are still there, in order.
    """

    @property
    def generation(self) -> int: ...  # noqa: D102  the class docstring says it

    @property
    def kept(self) -> Mask: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def labels(self, element: int) -> Labels:
        """The labels of an element."""
        ...


@dataclass(frozen=True, slots=True)
class Vector:
    """Values of a domain's elements. Where `present` is False the element is absent and its value means nothing."""

    domain: Domain
    values: Floats
    present: Mask


Value = float | Vector


class Mapped:
    """A domain whose elements are those of another one with other labels, one for one."""

    def __init__(self, inner: Domain, relabel: Callable[[Labels], Labels]) -> None:
        self._inner = inner
        self._relabel = relabel

    @property
    def generation(self) -> int:  # noqa: D102  as in Domain
        return self._inner.generation

    @property
    def kept(self) -> Mask:  # noqa: D102  as in Domain
        return self._inner.kept

    @property
    def size(self) -> int:  # noqa: D102  as in Domain
        return self._inner.size

    def labels(self, element: int) -> Labels:
        """The labels of an element."""
        return self._relabel(self._inner.labels(element))


class OneElement:
    """The domain of a vector with one element, without labels if none are given."""

    generation = 0
    size = 1
    kept: Mask = np.ones(1, np.bool_)

    def __init__(self, labels: Labels = ()) -> None:
        self._labels = labels

    def labels(self, element: int) -> Labels:  # noqa: ARG002  there is one
        """Its labels."""
        return self._labels


class Follower:
    """Keeps something for each element of a domain, in step with it.

    Subclasses say what is kept: `_extend` for elements that are new, `_keep` when elements have gone.
    """

    def __init__(self) -> None:
        self._followed: Domain | None = None
        self._seen_generation = 0
        self._seen = 0

    def _follow(self, domain: Domain) -> None:
        if domain is not self._followed or domain.generation > self._seen_generation + 1:
            self._keep(np.zeros(self._seen, np.bool_))
            self._followed, self._seen = domain, 0
        elif domain.generation != self._seen_generation:
            # Elements that came and went between two looks were never seen here.
            kept = domain.kept[: self._seen]
            self._keep(kept)
            self._seen = int(np.count_nonzero(kept))
        self._seen_generation = domain.generation
        if domain.size > self._seen:
            self._extend(domain, self._seen, domain.size)
            self._seen = domain.size

    def _extend(self, domain: Domain, start: int, end: int) -> None:
        raise NotImplementedError

    def _keep(self, kept: Mask) -> None:
        raise NotImplementedError


class Grouping(Follower):
    """Gives each element of a domain a group by its labels; the groups are a domain themselves."""

    def __init__(self, label: Callable[[Labels], Labels]) -> None:
        super().__init__()
        self._label = label
        self._groups: Indices = np.zeros(0, np.intp)
        self._numbers: dict[Hashable, int] = {}
        self._labels: list[Labels] = []
        self.generation = 0
        self.kept: Mask = np.zeros(0, np.bool_)

    @property
    def size(self) -> int:
        """How many groups there are."""
        return len(self._labels)

    def labels(self, element: int) -> Labels:
        """The labels of a group."""
        return self._labels[element]

    def of(self, domain: Domain) -> Indices:
        """(domain.size,) the group of each element."""
        self._follow(domain)
        return self._groups[: self._seen]

    def _extend(self, domain: Domain, start: int, end: int) -> None:
        self._groups = grown(self._groups, end)
        for element in range(start, end):
            labels = self._label(domain.labels(element))
            number = self._numbers.get(labels)
            if number is None:
                number = self._numbers[labels] = len(self._labels)
                self._labels.append(labels)
            self._groups[element] = number

    def _keep(self, kept: Mask) -> None:
        groups = self._groups[: len(kept)][kept]
        self.kept = np.zeros(len(self._labels), np.bool_)
        self.kept[groups] = True
        self._labels = [labels for labels, stays in zip(self._labels, self.kept.tolist(), strict=True) if stays]
        self._numbers = {labels: number for number, labels in enumerate(self._labels)}
        renumbered = np.cumsum(self.kept) - 1
        self._groups = renumbered[groups]
        self.generation += 1


class Relabeller:
    """Gives a vector's elements other labels.

    complaint: what is wrong if two of them come to have the same; None = they cannot.
    """

    def __init__(self, relabel: Callable[[Labels], Labels], complaint: str | None) -> None:
        self._inner: Domain | None = None
        self._mapped: Mapped | None = None
        self._relabel = relabel
        self._complaint = complaint
        self._distinct = Grouping(relabel) if complaint is not None else None

    def apply(self, vector: Vector) -> Vector:
        """The vector with the other labels.

        Raises:
            EvaluationError: two elements have the same.
        """
        if self._distinct is not None:
            groups = self._distinct.of(vector.domain)[vector.present]
            if len(groups) > 1 and len(np.unique(groups)) < len(groups):
                raise EvaluationError(str(self._complaint))
        if self._mapped is None or vector.domain is not self._inner:
            self._inner, self._mapped = vector.domain, Mapped(vector.domain, self._relabel)
        return Vector(self._mapped, vector.values, vector.present)


class NameDropper(Relabeller):
    """Takes the metric name off a vector's elements, as most functions do."""

    def __init__(self, *, may_repeat: bool) -> None:
        complaint = "several elements have the same labels but for the metric name" if may_repeat else None
        super().__init__(drop_name, complaint)

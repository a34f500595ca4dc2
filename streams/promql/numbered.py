"""Elements that are met one by one, by their labels: a domain that no series and no group stands behind."""

import numpy as np

from streams.promql.vector import Domain, Follower
from streams.series.arrays import Indices, Mask, grown
from streams.series.labels import Labels

_FEW = 64


class Numbered:
    """A domain of the labels that have been asked for, in that order; anew when most of them are not used any more."""

    def __init__(self) -> None:
        self.generation = 0
        self.kept: Mask = np.zeros(0, np.bool_)
        self._labels: list[Labels] = []
        self._numbers: dict[Labels, int] = {}

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._labels)

    def labels(self, element: int) -> Labels:
        """The labels of an element."""
        return self._labels[element]

    def number(self, labels: Labels) -> int:
        """The element with these labels."""
        number = self._numbers.get(labels)
        if number is None:
            number = self._numbers[labels] = len(self._labels)
            self._labels.append(labels)
        return number

    def tidy(self, in_use: int) -> bool:
        """Begin anew if few elements were in use lately; whether it did. Only between two steps."""
        if self.size <= _FEW + 4 * in_use:
            return False
        self.kept = np.zeros(self.size, np.bool_)
        self.generation += 1
        self._labels, self._numbers = [], {}
        return True


class ElementNumbers(Follower):
    """The number of each element of a vector whose domain may be renumbered between two looks within a step."""

    def __init__(self) -> None:
        super().__init__()
        self.numbered = Numbered()
        self._of: Indices = np.zeros(0, np.intp)

    def of(self, domain: Domain) -> Indices:
        """(domain.size,) the number of each element."""
        self._follow(domain)
        return self._of[: self._seen]

    def tidy(self, in_use: int) -> None:
        """As `Numbered.tidy`."""
        if self.numbered.tidy(in_use):
            self._followed = None

    def _extend(self, domain: Domain, start: int, end: int) -> None:
        self._of = grown(self._of, end)
        for element in range(start, end):
            self._of[element] = self.numbered.number(domain.labels(element))

    def _keep(self, kept: Mask) -> None:
        self._of = self._of[: len(kept)][kept]

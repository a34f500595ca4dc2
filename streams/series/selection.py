"""Which series each selector takes: decided once, when a series or a selector is new."""

from collections.abc import Iterable, Mapping

import numpy as np

from streams.series.arrays import Mask, Rows, grown
from streams.series.index import SeriesIndex
from streams.series.labels import Labels
from streams.series.matchers import Matcher, matches_all, metric_name_of


class Members:
    """The rows of one selector's series, ascending; grows at its end until `generation` changes.

    generation: counts renumberings. kept: which of the members of the generation before are still there.
    """

    def __init__(self, matchers: tuple[Matcher, ...], index: SeriesIndex) -> None:
        self.matchers = matchers
        self.generation = 0
        self.kept: Mask = np.zeros(0, np.bool_)
        self.size = 0
        self._index = index
        self._rows: Rows = np.zeros(0, np.int32)

    @property
    def rows(self) -> Rows:
        """(size,) row numbers."""
        return self._rows[: self.size]

    def labels(self, element: int) -> Labels:
        """The labels of a member, by its place."""
        return self._index.labels_of(int(self._rows[element]))

    def add(self, row: int) -> None:
        """Take a row that is higher than all before."""
        self._rows = grown(self._rows, self.size + 1)
        self._rows[self.size] = row
        self.size += 1

    def compact(self, renumbered: Rows) -> None:
        """Follow `SeriesIndex.compact`."""
        rows = renumbered[self.rows]
        self.kept = rows >= 0
        self._rows = rows[self.kept]
        self.size = len(self._rows)
        self.generation += 1


class Selection:
    """All selectors in use, by their matchers. Offsets and ranges do not matter here."""

    def __init__(self, index: SeriesIndex) -> None:
        self._index = index
        self._members: dict[tuple[Matcher, ...], Members] = {}
        self._by_name: dict[str | None, list[Members]] = {}

    def members_of(self, matchers: tuple[Matcher, ...]) -> Members:
        """The members of a selector; all series that are there are matched when it is new."""
        members = self._members.get(matchers)
        if members is None:
            members = self._members[matchers] = Members(matchers, self._index)
            self._by_name.setdefault(metric_name_of(matchers), []).append(members)
            for row in range(len(self._index)):
                if matches_all(matchers, dict(self._index.labels_of(row))):
                    members.add(row)
        return members

    def take(self, row: int, labels: Mapping[str, str]) -> None:
        """Match a new series."""
        for name in (labels["__name__"], None):
            for members in self._by_name.get(name, ()):
                if matches_all(members.matchers, labels):
                    members.add(row)

    def retain(self, used: Iterable[tuple[Matcher, ...]]) -> None:
        """Forget the selectors that are not in use any more."""
        wanted = set(used)
        self._members = {matchers: members for matchers, members in self._members.items() if matchers in wanted}
        self._by_name = {}
        for matchers, members in self._members.items():
            self._by_name.setdefault(metric_name_of(matchers), []).append(members)

    def compact(self, renumbered: Rows) -> None:
        """Follow `SeriesIndex.compact`."""
        for members in self._members.values():
            members.compact(renumbered)

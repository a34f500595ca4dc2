"""Which series each selector takes: decided once, when a series or a selector is new."""

from collections.abc import Iterable, Mapping

import numpy as np

from streams.series.arrays import Mask, Rows, grown
from streams.series.index import SeriesIndex
from streams.series.labels import METRIC_NAME, Labels
from streams.series.matchers import Matcher, matches_all, metric_name_of


class Members:
    """The rows of one selector's series, ascending; grows at its end until `generation` changes.

    metric: the name that all its series have, None = they may have any.
    generation: counts renumberings. kept: which of the members of the generation before are still there.
    """

    def __init__(self, matchers: tuple[Matcher, ...], index: SeriesIndex) -> None:
        self.matchers = matchers
        self.metric = metric_name_of(matchers)
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
    """All selectors in use, by their matchers. Offsets and ranges do not matter here.

    Each waits at one label that its series must have, so that a new series meets the selectors of its own service and
    not those of all.
    """

    def __init__(self, index: SeriesIndex) -> None:
        self._index = index
        self._members: dict[tuple[Matcher, ...], Members] = {}
        self._waiting: dict[tuple[str, str] | None, list[Members]] = {}

    def members_of(self, matchers: tuple[Matcher, ...]) -> Members:
        """The members of a selector; the series that are there are matched when it is new."""
        members = self._members.get(matchers)
        if members is None:
            members = self._members[matchers] = Members(matchers, self._index)
            self._await(members)
            label = required_label(matchers)
            rows = range(len(self._index)) if label is None else self._index.rows_with(*label).tolist()
            for row in rows:
                if matches_all(matchers, dict(self._index.labels_of(row))):
                    members.add(row)
        return members

    def take(self, row: int, labels: Mapping[str, str]) -> None:
        """Match a new series."""
        name = labels.get(METRIC_NAME, "")
        for label in (*labels.items(), None):
            for members in self._waiting.get(label, ()):
                if members.metric in (None, name) and matches_all(members.matchers, labels):
                    members.add(row)

    def retain(self, used: Iterable[tuple[Matcher, ...]]) -> None:
        """Forget the selectors that are not in use any more."""
        wanted = set(used)
        self._members = {matchers: members for matchers, members in self._members.items() if matchers in wanted}
        self._waiting = {}
        for members in self._members.values():
            self._await(members)

    def compact(self, renumbered: Rows) -> None:
        """Follow `SeriesIndex.compact`."""
        for members in self._members.values():
            members.compact(renumbered)

    def _await(self, members: Members) -> None:
        self._waiting.setdefault(required_label(members.matchers), []).append(members)


def required_label(matchers: Iterable[Matcher]) -> tuple[str, str] | None:
    """A label that every series of a selector has, rather not its name; None = there may be none in common."""
    labels = [(matcher.name, matcher.value) for matcher in matchers if matcher.op == "=" and matcher.value]
    return max(labels, key=lambda label: label[0] != METRIC_NAME, default=None)

"""Which service each series is charged to, and how many each one has.

A series is kept once, whichever services need it; it is charged to the one that brought it first.
"""

import numpy as np

from streams.series.arrays import Mask, Rows, grown


class Shares:
    """The service of each row, as a number, and counts of them."""

    def __init__(self) -> None:
        self._owners: Rows = np.zeros(0, np.int32)
        self._size = 0
        self._numbers: dict[str, int] = {}
        self._counts: list[int] = []

    def count(self, service: str) -> int:
        """How many series a service has."""
        number = self._numbers.get(service)
        return 0 if number is None else self._counts[number]

    def add(self, row: int, service: str) -> None:
        """Charge the next row to a service."""
        number = self._numbers.setdefault(service, len(self._counts))
        if number == len(self._counts):
            self._counts.append(0)
        self._counts[number] += 1
        self._owners = grown(self._owners, row + 1)
        self._owners[row] = number
        self._size = row + 1

    def compact(self, keep: Mask) -> None:
        """Let the rows go that are not kept, and the services that have none."""
        owners = self._owners[: self._size][keep]
        used, places = np.unique(owners, return_inverse=True)
        self._owners = places.astype(np.int32)
        self._size = len(owners)
        self._counts = np.bincount(self._owners, minlength=len(used)).tolist()
        names = {number: service for service, number in self._numbers.items()}
        self._numbers = {names[number]: place for place, number in enumerate(used.tolist())}

"""The versions of baselines that one Judge knows: what is ordered, and what is steady enough for one by itself.

A baseline learns all the time. A version is what stood in the books at a time, for people to compare with and to go
back to; an automatic one says "seven days, steady within 5 %". Deterministic: an order counts from its `effective_at`
on and only once, whenever it is told; an automatic version follows from the values alone.
"""

import zlib
from collections.abc import Iterable, Mapping

import msgspec

from budgets.baseline_order import SUBJECT, BaselineDocument, baseline_of_order, document_of
from budgets.order import Order
from budgets.watch import Place, Point
from streams.detect.detector import Detector

BY = "driftline"
# Coefficient of variation of the levels of seven days: below, they are one level.
STEADY = 0.05
AGAIN_AFTER_MS = 7 * 86_400_000
# So long after a deployment began, values are those of a service that starts.
DEPLOYMENT_MS = 900_000
_DAY_MS = 86_400_000


class Book(msgspec.Struct, frozen=True, array_like=True):
    """Where one subject stands. version: its number. at: the step from which it holds, Unix ms.

    standing: what a point that comes later is to begin with: a baseline that was made or is pinned.
    """

    version: int
    at: int
    standing: BaselineDocument | None = None


class Waiting(msgspec.Struct, frozen=True, array_like=True, order=True):
    """An order whose step has not come. document: None = what is pinned is not any more."""

    effective_at: int
    at: int
    indicator: str
    document: BaselineDocument | None


class SavedBooks(msgspec.Struct, frozen=True, array_like=True):
    """As it stands in a snapshot. carried_out: the time of each subject's newest order that was carried out."""

    books: list[tuple[str, Book]]
    carried_out: list[tuple[str, int]]
    waiting: list[Waiting]
    next_review: list[tuple[str, int]]


class Books:
    """Versions by subject: the id of a point, or of an indicator for all its points."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._carried_out: dict[str, int] = {}
        self._waiting: list[Waiting] = []
        self._next_review: dict[str, int] = {}
        self._decided: list[Order] = []

    def take(self, order: Order) -> None:
        """Take an order, which counts from its step on; one that was carried out before changes nothing.

        Raises:
            ValueError, msgspec.ValidationError: it cannot be used.
        """
        indicator = order.subject.removeprefix(SUBJECT)
        waiting = Waiting(order.effective_at, order.at, indicator, baseline_of_order(order))
        if waiting not in self._waiting:
            self._wait_for([waiting])

    def take_decided(self) -> list[Order]:
        """The versions that came about by themselves since the last call, to be published."""
        decided, self._decided = self._decided, []
        return decided

    def begin(self, at: int, places: Mapping[str, Place]) -> None:
        """Carry out what is due at a step, before its values come."""
        while self._waiting and self._waiting[0].effective_at <= at:
            order = self._waiting.pop(0)
            if self._note(order, at):
                for point in _points_of(order.indicator, places):
                    carry_out(order.document, point.detector, at)

    def welcome(self, point_id: str, place: Place, at: int) -> None:
        """A point appears: what was ordered for it before it had values holds for it."""
        book = self._book_of(point_id, place)
        if book is not None and book.standing is not None:
            carry_out(book.standing, place.point.detector, at)

    def _book_of(self, point_id: str, place: Place) -> Book | None:
        return self._books.get(point_id) or self._books.get(place.watched.spec.id)

    def _note(self, order: Waiting, at: int) -> bool:
        """Write an order into the books; whether something is to be done."""
        if order.at <= self._carried_out.get(order.indicator, -1):
            return False
        self._carried_out[order.indicator] = order.at
        document = order.document
        before = self._books.get(order.indicator)
        if document is None:
            if before is not None:
                self._books[order.indicator] = Book(before.version, at)
            return True
        if before is not None and document.action == "automatic" and document.version <= before.version:
            return False  # our own, come back from the log
        standing = document if document.action == "create" or document.pinned is not None else None
        self._books[order.indicator] = Book(document.version, at, standing)
        return document.action != "automatic"

    def review(self, at: int, places: Mapping[str, Place]) -> None:
        """Look at each point once a day, each at its own time."""
        for point_id, place in places.items():
            if at >= self._next_review.get(point_id, 0):
                if point_id in self._next_review:
                    self._review(point_id, place, at)
                self._next_review[point_id] = _review_time(point_id, at)

    def _review(self, point_id: str, place: Place, at: int) -> None:
        """Give a steady baseline its version."""
        book, detector = self._book_of(point_id, place), place.point.detector
        if book is not None and book.standing is not None and book.standing.pinned is not None:
            if not detector.is_pinned:
                detector.pin(at)  # it knew too little when it was told to
            return
        if book is not None and at - book.at < AGAIN_AFTER_MS:
            return
        variation = detector.baseline.variation
        usual = detector.baseline.tell(with_hours=False)
        if usual is None or variation is None or variation >= STEADY:
            return
        version = book.version + 1 if book is not None else 1
        variation = float(f"{variation:.4g}")
        document = BaselineDocument(point_id, version, "automatic", usual=usual, variation=variation)
        self._books[point_id] = Book(version, at)
        self._carried_out[point_id] = at
        self._decided.append(Order(SUBJECT + point_id, document_of(document), BY, at, at))

    def forget(self, point_id: str) -> None:
        """The point is gone for good."""
        self._books.pop(point_id, None)
        self._next_review.pop(point_id, None)

    def snapshot(self) -> SavedBooks:
        """Everything."""
        return SavedBooks(
            sorted(self._books.items()),
            sorted(self._carried_out.items()),
            self._waiting,
            sorted(self._next_review.items()),
        )

    def restore(self, saved: SavedBooks) -> None:
        """Go on where a snapshot was taken; orders that were told here before are carried out unless they were."""
        told, self._waiting = self._waiting, list(saved.waiting)
        self._books, self._carried_out = dict(saved.books), dict(saved.carried_out)
        self._next_review = dict(saved.next_review)
        self._wait_for([each for each in told if each not in self._waiting])

    def _wait_for(self, orders: Iterable[Waiting]) -> None:
        self._waiting = sorted([*self._waiting, *orders], key=lambda each: (each.effective_at, each.at, each.indicator))


def carry_out(document: BaselineDocument | None, detector: Detector, at: int) -> None:
    """Do to one point what an order says."""
    if document is None:
        detector.unpin()
        return
    if document.usual is not None:
        detector.take(at, document.usual)
    elif document.action == "update":
        detector.accept()  # whatever else holds a level of this point is to be told here
    if document.pinned is None:
        detector.unpin()
    elif document.action == "pin" or not detector.is_pinned:
        detector.pin(at)


def protect(changes: Iterable[tuple[str, int]], places: Mapping[str, Place]) -> None:
    """Services that change teach their baselines nothing for a while. changes: service, Unix ms."""
    for service, change_ms in changes:
        for place in places.values():
            if place.watched.spec.service == service:
                place.point.detector.protect(change_ms + DEPLOYMENT_MS)


def _points_of(indicator: str, places: Mapping[str, Place]) -> list[Point]:
    """A point, or all points of an indicator."""
    own = places.get(indicator)
    if own is not None:
        return [own.point]
    return [place.point for _, place in sorted(places.items()) if place.watched.spec.id == indicator]


def _review_time(point_id: str, after: int) -> int:
    """The next moment of a point's own, one a day: not all of them at one step."""
    phase = zlib.crc32(point_id.encode()) * 1009 % _DAY_MS
    return (after - phase) // _DAY_MS * _DAY_MS + _DAY_MS + phase

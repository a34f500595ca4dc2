"""Orders about baselines: the document of `baseline/<indicator>`, where <indicator> is an indicator's or a point's id.

`create` says what is usual, `update` that the present level is; `pin` makes it stand still, named after a release,
`unpin` lets it go on learning. `automatic` is no order but the record of one: the Judge decided it, and publishes it
where orders stand, so that it is versioned and audited like what people decide.
"""

from typing import Any, Literal

import msgspec

from budgets.order import Order
from streams.detect.usual import Usual

SCHEMA = 1
SUBJECT = "baseline/"
Action = Literal["create", "update", "pin", "unpin", "automatic"]


class Pinned(msgspec.Struct, frozen=True):
    """version: the release that it is named after. at: since when it stands still, Unix ms."""

    version: str
    at: int


class BaselineDocument(msgspec.Struct, frozen=True):
    """One version of a baseline.

    version: counts up from 1. usual: what is usual from now on (`create`), or what was found to be (`automatic`,
    without hours). pinned: None = it goes on learning. variation: of the daily levels of an automatic one, ratio.
    """

    indicator: str
    version: int
    action: Action
    usual: Usual | None = None
    pinned: Pinned | None = None
    variation: float | None = None
    note: str = ""
    schema: int = SCHEMA


def document_of(baseline: BaselineDocument) -> dict[str, Any]:
    """The document of an order."""
    document = msgspec.to_builtins(baseline)
    assert isinstance(document, dict)
    return document


def baseline_of_order(order: Order) -> BaselineDocument | None:
    """The version that a `baseline/<indicator>` order brings; None = removed: nothing is pinned any more.

    Raises:
        msgspec.ValidationError: the document has not the shape of one.
        ValueError: it has, but cannot be used.
    """
    if order.document is None:
        return None
    baseline = msgspec.convert(order.document, BaselineDocument)
    if baseline.schema != SCHEMA:
        raise ValueError(f"expected a baseline of schema {SCHEMA}, got {baseline.schema}")
    if order.subject != SUBJECT + baseline.indicator:
        raise ValueError(f"{order.subject}: the document is about {baseline.indicator!r}")
    if baseline.action == "create" and baseline.usual is None:
        raise ValueError(f"{order.subject}: expected to be told what is usual")
    if (baseline.action == "pin") > (baseline.pinned is not None):
        raise ValueError(f"{order.subject}: expected the release that it is pinned to")
    return baseline


def next_version(
    before: BaselineDocument | None,
    indicator: str,
    action: Action,
    *,
    usual: Usual | None = None,
    pinned: Pinned | None = None,
    note: str = "",
) -> BaselineDocument:
    """The version after `before`. What is pinned stays pinned, unless the order is about that."""
    if action in {"create", "update"} and pinned is None and before is not None:
        pinned = before.pinned
    return BaselineDocument(
        indicator, before.version + 1 if before else 1, action, usual=usual, pinned=pinned, note=note
    )

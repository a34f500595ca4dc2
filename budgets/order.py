"""Orders: what people decided, as records of the compacted `driftline.orders` topic.

Subject (the record's key): `budget/<service>`, `baseline/<indicator>`, `silence/<id>`, `ack/<fingerprint>`.
An order holds from the step `effective_at`, so that everyone switches at the same point of the log.
A tombstone (null value) removes the subject's document at once.
"""

from typing import Any

import msgspec


class Order(msgspec.Struct, frozen=True):
    """One order.

    document: the whole new document; None = removed from `effective_at` on.
    by: who gave it. at, effective_at: Unix ms.
    """

    subject: str
    document: dict[str, Any] | None
    by: str
    at: int
    effective_at: int
    schema: int = 1


_decoder = msgspec.json.Decoder(Order)


def encode_order(order: Order) -> bytes:
    """The order as JSON."""
    return msgspec.json.encode(order)


def decode_order(data: bytes) -> Order:
    """The order of a record.

    Raises:
        msgspec.ValidationError: not an order of schema 1.
    """
    return _decoder.decode(data)


def first_step_from(at_ms: int, step_ms: int) -> int:
    """The first step at or after `at_ms`: the usual `effective_at` of an order given then.

    A step closes only `evaluation_delay` later, so every worker has the order before it needs it.
    """
    return -(-at_ms // step_ms) * step_ms

"""Changes: deployments and whatever else people or pipelines did to a service, as records of `driftline.changes`.

The record's key is the service. A change is known from the step `effective_at` on, like an order, so that a replay of
the log names the same changes at the same steps; `at` says when it happened.
"""

import msgspec

from budgets.event import parse_time

SCHEMA = 1


class Change(msgspec.Struct, frozen=True):
    """One change.

    at: RFC 3339 UTC, when it began. by: who told us. effective_at: Unix ms, the step from which it is known.
    """

    service: str
    version: str
    at: str
    by: str
    effective_at: int
    note: str = ""
    schema: int = SCHEMA

    @property
    def at_ms(self) -> int:
        """When it began, Unix ms."""
        return parse_time(self.at)


_decoder = msgspec.json.Decoder(Change)


def encode_change(change: Change) -> bytes:
    """The change as JSON."""
    return msgspec.json.encode(change)


def decode_change(data: bytes) -> Change:
    """The change of a record.

    Raises:
        msgspec.DecodeError, ValueError: not a change of schema 1.
    """
    change = _decoder.decode(data)
    if change.schema != SCHEMA or not change.service:
        raise ValueError(f"expected a change of a service, of schema {SCHEMA}")
    parse_time(change.at)
    return change

"""Records of the alerts and dead-letter topics: CloudEvents 1.0 in binary mode, and where a bad record came from.

Equal events give equal bytes and equal headers, so a replay repeats a record exactly.
"""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

import msgspec
from cloudevents.http import CloudEvent
from cloudevents.kafka import to_binary

from budgets.event import AlertEvent, decode_event, encode_event

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An alert event as it stands on the topic."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class HasValue(Protocol):
    """The part of a consumed record that is needed here."""

    @property
    def value(self) -> bytes | None:
        """The record's value; None = a tombstone."""


def encode_alert(event: AlertEvent) -> AlertRecord:
    """The record of an event: its fingerprint is the key, so events of one alert keep their order."""
    attributes = {
        "id": event.id,
        "source": f"/services/{quote(event.service, safe='')}",
        "type": f"io.driftline.alert.{event.transition}.v1",
        "time": event.at,
        "datacontenttype": CONTENT_TYPE,
        "partitionkey": event.fingerprint,
    }
    cloud_event = CloudEvent.create(attributes, encode_event(event))
    message = to_binary(cloud_event, data_marshaller=lambda data: data)
    value = message.value
    assert isinstance(value, bytes)
    return AlertRecord(event.fingerprint.encode(), value, tuple(sorted(message.headers.items())))


def decode_alert(record: HasValue) -> AlertEvent:
    """The event of a record of the alerts or alert-state topic.

    Raises:
        msgspec.DecodeError: not an alert event of schema 1.
    """
    if record.value is None:
        raise msgspec.DecodeError("a tombstone, not an alert event")
    return decode_event(record.value)


def dead_letter_headers(topic: str, partition: int, offset: int, reason: str) -> list[tuple[str, bytes]]:
    """Where a record came from and why it was set aside."""
    return [
        ("source-topic", topic.encode()),
        ("source-partition", str(partition).encode()),
        ("source-offset", str(offset).encode()),
        ("reason", reason.encode()),
    ]

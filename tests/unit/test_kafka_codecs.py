"""Alert events on the wire: CloudEvents 1.0 in binary mode, the same bytes for the same event."""

from types import SimpleNamespace

import msgspec
import pytest
from cloudevents.kafka import KafkaMessage, from_binary

from agents.kafka.codecs import dead_letter_headers, decode_alert, encode_alert
from budgets.event import Transition
from tests.unit.alert_events import alert_event


@pytest.mark.parametrize("transition", ["pending", "firing", "escalated", "deescalated", "stale", "resolved"])
def test_an_event_is_a_cloud_event_that_others_can_read(transition: Transition) -> None:
    event = alert_event(transition, 3)
    record = encode_alert(event)
    assert record.key == event.fingerprint.encode()
    read = from_binary(KafkaMessage(dict(record.headers), record.key, record.value))
    assert read["specversion"] == "1.0"
    assert read["id"] == event.id
    assert read["type"] == f"io.driftline.alert.{transition}.v1"
    assert read["source"] == "/services/auth-service"
    assert read["time"] == event.at
    assert read["datacontenttype"] == "application/json"
    assert read.data["fingerprint"] == event.fingerprint


def test_an_event_comes_back_as_it_was() -> None:
    event = alert_event("firing", 7, labels={"route": "/a b"})
    assert decode_alert(encode_alert(event)) == event


def test_equal_events_are_equal_records() -> None:
    assert encode_alert(alert_event("firing", 7)) == encode_alert(alert_event("firing", 7))


def test_a_service_with_any_name_has_a_valid_source() -> None:
    headers = dict(encode_alert(alert_event("firing", 1, service="a b/ü")).headers)
    assert headers["ce_source"] == b"/services/a%20b%2F%C3%BC"


@pytest.mark.parametrize("value", [None, b"", b"{", b"{}", b'{"schema": 1}'])
def test_what_is_not_an_event_is_refused(value: bytes | None) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_alert(SimpleNamespace(value=value))


def test_a_dead_letter_says_where_it_came_from() -> None:
    assert dead_letter_headers("t", 3, 99, "broken ä") == [
        ("source-topic", b"t"),
        ("source-partition", b"3"),
        ("source-offset", b"99"),
        ("reason", "broken ä".encode()),
    ]

"""What a role makes of records of the changes topic."""

from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from agents.changes import ChangeReader
from agents.metrics import ChangesMetrics
from agents.settings import Settings
from budgets.change import Change, encode_change
from budgets.event import format_time

CHANGE = Change("api", "2.4.1", format_time(1_800_000_000_000), "ci", 1_800_000_000_000)


@dataclass
class Record:
    key: bytes | None
    value: bytes | None
    offset: int = 7


@pytest.mark.parametrize(
    ("record", "heard", "refused"),
    [
        (Record(b"api", encode_change(CHANGE)), [CHANGE], 0.0),
        (Record(b"web", encode_change(CHANGE)), [], 1.0),
        (Record(None, encode_change(CHANGE)), [], 1.0),
        (Record(b"api", b"\xff"), [], 1.0),
        (Record(b"api", None), [], 1.0),
    ],
)
def test_a_change_is_handed_over_and_anything_else_is_counted(
    record: Record, heard: list[Change], refused: float
) -> None:
    taken: list[Change] = []
    registry = CollectorRegistry()
    ChangeReader(Settings(), taken.append, ChangesMetrics(registry)).take(record)
    assert taken == heard
    assert registry.get_sample_value("driftline_changes_refused_total") == refused

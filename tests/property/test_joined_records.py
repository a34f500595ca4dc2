"""Records that wait and are taken together come to the same frames and counts as each by itself."""

from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.worker import block as block_module
from agents.worker.block import Block
from agents.worker.partition import Partition
from budgets.judge import Judge
from streams.frame import encode_frame
from streams.meter import Observed
from streams.wire.encode import encode_write_request
from tests.property.sample_stories import as_series, tell
from tests.property.test_meter_replay import create_meter
from tests.property.test_meter_values import STEP_MS


@dataclass(frozen=True)
class LogRecord:
    time_ms: int
    value: bytes
    key: bytes = b"svc"


@dataclass
class Outcome:
    """What a log came to. answers: how many times records were taken. faults: records that could not be."""

    frames: list[bytes]
    counts: Counter[str]
    answers: int
    faults: int


def records_of(random: Random) -> list[LogRecord]:
    """A story cut into small records, some of which nobody can read."""
    records = []
    for write in tell(random, minutes=12, targets=3):
        series = as_series(write.samples)
        while series:
            part, series = series[: 1 + random.randrange(12)], series[12:]
            records.append(LogRecord(write.log_time_ms, encode_write_request(part)))
        if random.random() < 0.02:
            records.append(LogRecord(write.log_time_ms, b"\x0a\xff"))
        if random.random() < 0.02:
            records.append(LogRecord(write.log_time_ms, b"", key=b"\xff"))
    return records


def play(records: list[LogRecord], most_ms: int, *, is_behind: bool = False) -> Outcome:
    """As `agents.worker.agent` does it; 0 ms = nothing waits for another."""

    partition = Partition(0, 0, create_meter, lambda: Judge(STEP_MS))
    waiting: Block[LogRecord] = Block()
    outcome = Outcome([], Counter(), 0, 0)

    def take() -> None:
        for _, observed in waiting.take_into(partition):
            outcome.answers += 1
            if isinstance(observed, Observed):
                outcome.counts["samples"] += observed.samples
                for kind, counts in (("dropped", observed.dropped), ("late", observed.late)):
                    outcome.counts.update({f"{kind} {reason}": count for reason, count in counts.items()})
            else:
                outcome.faults += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_module, "MOST_MS", most_ms)
        for record in records:
            if partition.is_step_due(record.time_ms) or waiting.is_due(record.time_ms, is_behind=is_behind):
                take()
            outcome.frames += [encode_frame(step.frame) for step in partition.close_steps(record.time_ms)]
            waiting.put(record, partition.log_time_ms)
        take()
    return outcome


@pytest.mark.parametrize("is_behind", [False, True])
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_records_taken_together_come_to_the_same_frames_and_counts(seed: int, *, is_behind: bool) -> None:
    records = records_of(Random(seed))
    together, apart = play(records, 4_000, is_behind=is_behind), play(records, 0)
    assert together.frames == apart.frames
    assert together.counts == apart.counts
    assert together.faults == apart.faults
    assert together.answers <= apart.answers == len(records)


def test_records_of_known_series_are_joined() -> None:
    records = records_of(Random(1))
    assert play(records, 4_000).answers < len(records) * 2 / 3

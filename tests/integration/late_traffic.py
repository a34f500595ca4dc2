"""The traffic of `exact_traffic.py` as it comes when connections overtake each other: in bursts, some of it late.

Everything arrives, some of it twice; nothing arrives more than `LATEST_MS` behind the newest sample of all.
"""

from collections.abc import Iterator
from random import Random

from tests.integration.exact_traffic import Sample, write_hour

# Which minutes have late samples: a step's windows then hold late ones, timely ones, or both.
_BURST_EVERY, _BURST = 4, (1, 2)
_LATE_MS = (4_000, 24_000)
# A record is up to 6 s old when it is written, and the next one comes 5 s later.
LATEST_MS = 40_000


def write_late(random: Random, start_ms: int, minutes: int) -> Iterator[tuple[int, list[Sample]]]:
    """(log time, samples) of each record, in the order of log time."""
    waiting: list[tuple[int, list[Sample]]] = []
    for log_ms, samples in write_hour(random, start_ms):
        if log_ms >= start_ms + minutes * 60_000:
            break
        due = [held for held in waiting if held[0] <= log_ms]
        waiting = [held for held in waiting if held[0] > log_ms]
        yield from sorted(due, key=lambda held: held[0])
        in_burst = (log_ms - start_ms) // 60_000 % _BURST_EVERY in _BURST
        held_back = _choose(random, samples) if in_burst else []
        if held_back:
            waiting.append((log_ms + random.randrange(*_LATE_MS), held_back))
        yield log_ms, [sample for sample in samples if sample not in held_back or random.random() < 0.1]
    yield from sorted(waiting, key=lambda held: held[0])


def _choose(random: Random, samples: list[Sample]) -> list[Sample]:
    """Whole targets, as when one connection waits, and single series, as when one request does."""
    instances = sorted({labels["instance"] for labels, *_ in samples})
    late = {instance for instance in instances if random.random() < 0.4}
    return [sample for sample in samples if sample[0]["instance"] in late or random.random() < 0.05]

"""New labels without end: new series are refused, known ones go on, memory stays level, every drop is counted."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streams.frame import IndicatorFrame
from streams.meter import Meter
from streams.query import Query
from streams.series.store import Ceilings
from streams.wire.encode import encode_write_request

START_MS = 1_764_000_000_000
STEP_MS, DELAY_MS = 15_000, 10_000
PODS = 20
SERIES, BOMB_SERIES = 300, 200
ROUNDS, BOMBS = 80, 60  # rounds of 15 s; series a round
EXPRESSIONS = ("sum(rate(requests[1m]))", 'sum by (id) (rate(requests{job="bomb"}[1m]))', "count(requests)")


def good(number: int) -> bytes:
    at_ms = START_MS + number * STEP_MS
    return encode_write_request(
        [({"__name__": "requests", "job": "good", "id": f"pod-{pod}"}, [(at_ms, number * 15.0)]) for pod in range(PODS)]
    )


def bombs(random: Random, number: int) -> Iterator[bytes]:
    """Series that were never seen, in one record or in many, some of them again later."""
    at_ms = START_MS + number * STEP_MS
    names = [f"{random.getrandbits(128):032x}" for _ in range(BOMBS)]
    again = [f"again-{random.randrange(2000)}" for _ in range(10)]
    series = [({"__name__": "requests", "job": "bomb", "id": name}, [(at_ms, 1.0)]) for name in {*names, *again}]
    size = random.choice((7, len(series)))
    for start in range(0, len(series), size):
        yield encode_write_request(series[start : start + size])


def create_meter(ceilings: Ceilings) -> Meter:
    meter = Meter(STEP_MS, DELAY_MS, ceilings)
    meter.define("good", [Query("good/rate", 'sum(rate(requests{job="good"}[1m]))')], 0)
    meter.define("bomb", [Query(f"bomb/{number}", expr) for number, expr in enumerate(EXPRESSIONS)], 0)
    return meter


def value_of(frame: IndicatorFrame) -> float | None:
    return dict(zip(frame.points.id, frame.points.value, strict=True))["good/rate"]


def attack(meter: Meter, random: Random, rounds: range, dropped: Counter[str]) -> list[float | None]:
    """The values of the service that is not attacked."""
    told = []
    for number in rounds:
        log_ms = START_MS + number * STEP_MS + 1000
        told += [value_of(frame) for frame in meter.advance(log_ms)]
        for record in bombs(random, number):
            observed = meter.observe("bomb", record, log_ms)
            dropped.update(observed.dropped)
            dropped["taken"] += observed.samples
            dropped["sent"] += record.count(b"bomb")
        assert meter.observe("good", good(number), log_ms).samples == PODS
        assert meter.series_count <= SERIES
    return told


def memory_held() -> int:
    """Bytes, without the cache of label pairs: it has its own bound, and any request of this process fills it."""
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*/labels_message.py")])
    return sum(trace.size for trace in snapshot.traces)


@settings(max_examples=2, deadline=None, phases=(Phase.explicit, Phase.generate))  # too slow to shrink
@given(seed=st.integers(0, 2**32), by_bytes=st.booleans())
def test_an_attack_of_new_labels_takes_its_own_room_and_no_more(seed: int, by_bytes: bool) -> None:
    random, dropped = Random(seed), Counter[str]()
    ceilings = Ceilings(SERIES, SERIES, 75_000) if by_bytes else Ceilings(SERIES, BOMB_SERIES)
    meter = create_meter(ceilings)
    assert meter.observe("good", good(0), START_MS).samples == PODS
    told, held, counted = [], [], []
    tracemalloc.start()
    for quarter in range(4):
        rounds = range(1 + quarter * ROUNDS // 4, 1 + (quarter + 1) * ROUNDS // 4)
        told += attack(meter, random, rounds, dropped)
        gc.collect()
        held.append(memory_held())
        counted.append(meter.byte_count)
    tracemalloc.stop()
    # After the first minute, its window is full.
    assert all(abs((value or 0) - PODS) < 1e-9 for value in told[4:]), "the other service is measured as ever"
    sent, taken = dropped.pop("sent"), dropped.pop("taken")
    assert dropped["bytes_limit" if by_bytes else "service_series_limit"] > sent / 2
    assert taken + dropped.total() == sent
    # The windows have been full since the first quarter (5 minutes). A hundred bytes kept of each series that came
    # would be 240 kB in the last two; what else runs in this process is within 60 kB.
    assert max(held[2:]) - held[1] < 60_000, held
    # Above the ceiling: what one record brought, and what the rings of known series grew by.
    assert max(counted) < (125_000 if by_bytes else 400_000)

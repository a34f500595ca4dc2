"""Days of simulated samples as records of the samples topic, with the timestamps that they would have had.

The log is the clock, so time-lapse is only a producer that sets record timestamps. Records are stamped out of a
byte template, one a service and interval: only values and times differ between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.demo.traffic import Cluster, Floats, RequestService
from streams.wire.encode import encode_write_request

# A placeholder sample whose encoding is as long as any real one: 2001-09-09 to 2109 need six varint bytes.
_PLACEHOLDER_MS = 1_500_000_000_000
_PLACEHOLDER_VALUE = 1.0
_SAMPLE_BYTES = 16  # tag, double, tag, six bytes of varint


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One record: key `service`, `value` a WriteRequest, to be stamped `time_ms`."""

    service: str
    time_ms: int
    value: bytes


def _varint6(times_ms: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Six-byte varints of (n,) times: (n, 6)."""
    shifts = np.arange(6, dtype=np.int64) * 7
    digits = (times_ms[:, None] >> shifts) & 0x7F
    digits[:, :5] |= 0x80
    return digits.astype(np.uint8)


def _stamp(template: bytes, times_ms: NDArray[np.int64], readings: Floats) -> NDArray[np.uint8]:
    """The template once for each time, with its values and time filled in: (n, len(template)) bytes."""
    sample = encode_write_request([({"__name__": "x"}, [(_PLACEHOLDER_MS, _PLACEHOLDER_VALUE)])])[-_SAMPLE_BYTES:]
    rows = np.tile(np.frombuffer(template, dtype=np.uint8), (times_ms.size, 1))
    values = np.ascontiguousarray(readings, dtype="<f8").view(np.uint8).reshape(*readings.shape, 8)
    times = _varint6(times_ms)
    position = -1
    for column in range(readings.shape[1]):
        position = template.index(sample, position + 1)
        rows[:, position + 1 : position + 9] = values[:, column]
        rows[:, position + 10 : position + 16] = times
    return rows


def records_of(
    service: RequestService | Cluster, start_ms: int, interval_ms: int, count: int, rng: np.random.Generator
) -> Iterator[HistoryRecord]:
    """`count` records of a service, the first one interval after `start_ms`."""
    times_ms = start_ms + interval_ms * np.arange(1, count + 1, dtype=np.int64)
    readings = service.advance(times_ms / 1000.0, interval_ms / 1000.0, rng)
    template = encode_write_request((labels, [(_PLACEHOLDER_MS, _PLACEHOLDER_VALUE)]) for labels in service.series)
    rows = _stamp(template, times_ms, readings)
    for time_ms, row in zip(times_ms.tolist(), rows, strict=True):
        yield HistoryRecord(service.name, time_ms, row.tobytes())

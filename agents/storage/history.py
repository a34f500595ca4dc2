"""The history: what was measured and what was alerted, as SQL tables that can be dropped and rebuilt from the log.

Also the form in which points are kept: all points of one indicator over some hundred steps are one row of
compressed columns, exact and never averaged. A row a sample would be a hundred million rows in a month.
Who writes (`agents/web/history/writer.py`) and who reads (`agents/web/history/reader.py`) stand elsewhere.
"""

from dataclasses import dataclass

import cramjam
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, Table, Text

from agents.storage.metadata import RowId, metadata

# One row of `indicator_points` spans this many steps: an hour of 15 s steps.
STEPS_PER_ROW = 240
# The longest step (5 min) gives the longest row.
LONGEST_ROW_MS = STEPS_PER_ROW * 300_000

# How far the projection has come. The offsets of one `log_id` mean nothing in another.
position = Table(
    "position",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("log_id", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
)

# The newest point of every indicator: `id` is a point's id, `query_id` its indicator's, `labels` JSON.
indicator_latest = Table(
    "indicator_latest",
    metadata,
    Column("id", Text, primary_key=True),
    Column("query_id", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("value", Float),
    Column("weight", Float),
    Column("at", BigInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Index(None, "service"),
)

# What was usual for a point when it was last told; `expected` in its unit, `spread` relative to it.
indicator_baseline = Table(
    "indicator_baseline",
    metadata,
    Column("id", Text, primary_key=True),
    Column("expected", Float),
    Column("spread", Float),
    Column("rung", Text, nullable=False),
    Column("season", Text),
    Column("at", BigInteger, nullable=False),
)

# `points` is what `encode_points` makes; every point is in [starts_at, ends_at], Unix ms.
indicator_points = Table(
    "indicator_points",
    metadata,
    Column("id", Text, primary_key=True),
    Column("starts_at", BigInteger, primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
    Column("points", LargeBinary, nullable=False),
    Index(None, "starts_at"),
)

# The latest event of every alert; `event` is its JSON as published.
alert = Table(
    "alert",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Index(None, "at", "fingerprint"),
)

# Every event once, in the order in which it was read first.
alert_transition = Table(
    "alert_transition",
    metadata,
    Column("seq", RowId, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("fingerprint", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Index(None, "fingerprint", "at"),
    Index(None, "service", "at"),
    Index(None, "at"),
)


@dataclass(frozen=True, slots=True)
class PointColumns:
    """Points of one indicator, oldest first.

    at: (n,) int64, Unix ms, increasing. value: (n,) float64, NaN = no data. weight: (n,) float64, NaN = not known.
    """

    at: NDArray[np.int64]
    value: NDArray[np.float64]
    weight: NDArray[np.float64]


def encode_points(points: PointColumns) -> bytes:
    """Columns as bytes: differences of the times, then values, then weights, all eight bytes wide, zstd."""
    columns = (np.diff(points.at, prepend=0).astype("<i8"), points.value.astype("<f8"), points.weight.astype("<f8"))
    return bytes(cramjam.zstd.compress(b"".join(column.tobytes() for column in columns), level=1))


def decode_points(data: bytes) -> PointColumns:
    """The inverse of `encode_points`."""
    raw = bytes(cramjam.zstd.decompress(data))
    count = len(raw) // 24
    at = np.cumsum(np.frombuffer(raw, dtype="<i8", count=count)).astype(np.int64)
    value = np.frombuffer(raw, dtype="<f8", count=count, offset=8 * count)
    weight = np.frombuffer(raw, dtype="<f8", count=count, offset=16 * count)
    return PointColumns(at, value, weight)


def merge_points(*parts: PointColumns) -> PointColumns:
    """All points of the parts, each time once: what a later part says of a time wins."""
    at = np.concatenate([part.at for part in parts])
    # The first occurrence in the reversed order is the last one said.
    _, index = np.unique(at[::-1], return_index=True)
    kept = at.size - 1 - index
    value = np.concatenate([part.value for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    return PointColumns(at[kept], value[kept], weight[kept])


def row_start(at_ms: int, step_ms: int) -> int:
    """Where the row begins that a point at `at_ms` belongs to, Unix ms."""
    span_ms = STEPS_PER_ROW * step_ms
    return at_ms // span_ms * span_ms

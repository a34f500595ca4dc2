"""Records of the indicators and alerts topics as rows: what one round of reading comes to.

Pure: no database, no Kafka, no clock. A record that cannot be read becomes a `Poison`, never an exception.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np

from agents.storage.history import PointColumns, merge_points, row_start
from budgets.event import AlertEvent, decode_event, parse_time
from streams.frame import Baselines, IndicatorFrame, decode_frame

# Longer keys do not fit into an index page of PostgreSQL; a label value of this length is somebody's mistake.
MAX_KEY_BYTES = 2000
_YEAR_9999_MS = 253_402_300_799_999


class Record(Protocol):
    """The part of a Kafka record that is used here."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Poison:
    """A record to set aside, and why."""

    record: Record
    reason: str


@dataclass(frozen=True, slots=True)
class LatestPoint:
    """The newest point of one indicator in a batch. at: Unix ms. step: ms."""

    id: str
    value: float | None
    weight: float | None
    at: int
    step: int


@dataclass(frozen=True, slots=True)
class LatestBaseline:
    """What is usual for one point, as of a step. expected: in its unit. spread: relative to it. at: Unix ms."""

    id: str
    expected: float | None
    spread: float | None
    rung: str
    season: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Points:
    """What frames come to.

    rows: (id, start of the row in Unix ms) -> the points that belong there.
    dropped: points that no database could take. baselines: the newest ones that were told.
    """

    latest: dict[str, LatestPoint]
    rows: dict[tuple[str, int], PointColumns]
    dropped: int = 0
    baselines: dict[str, LatestBaseline] = field(default_factory=dict)


def decode_frames(records: Iterable[Record]) -> tuple[list[IndicatorFrame], list[Poison]]:
    """The frames of records of the indicators topic."""
    frames: list[IndicatorFrame] = []
    poison: list[Poison] = []
    for record in records:
        try:
            frame = decode_frame(record.value or b"")
        except msgspec.DecodeError as error:
            poison.append(Poison(record, f"not an indicator frame: {error}"))
            continue
        reason = _flaw_of(frame)
        if reason:
            poison.append(Poison(record, reason))
        else:
            frames.append(frame)
    return frames, poison


def _flaw_of(frame: IndicatorFrame) -> str | None:
    points = frame.points
    if not 0 <= frame.at <= _YEAR_9999_MS or not 0 < frame.step <= 300_000:
        return f"not an indicator frame: at {frame.at}, step {frame.step} ms"
    if not len(points.id) == len(points.value) == len(points.weight):
        return "not an indicator frame: columns of different lengths"
    told = frame.baselines
    if isinstance(told, Baselines) and {len(getattr(told, name)) for name in told.__struct_fields__} != {
        len(points.id)
    }:
        return "not an indicator frame: baselines of other points"
    return None


def decode_events(records: Iterable[Record]) -> tuple[list[AlertEvent], list[Poison]]:
    """The events of records of the alerts topic, in their order."""
    events: list[AlertEvent] = []
    poison: list[Poison] = []
    for record in records:
        try:
            event = decode_event(record.value or b"")
            parse_time(event.at)
        except (msgspec.DecodeError, ValueError) as error:
            poison.append(Poison(record, f"not an alert event: {error}"))
            continue
        if all(_is_storable(text) for text in (event.id, event.fingerprint, event.service)):
            events.append(event)
        else:
            poison.append(Poison(record, "not an alert event: an id, fingerprint or service that cannot be stored"))
    return events, poison


def _is_storable(key: str) -> bool:
    # PostgreSQL has no NUL in text.
    return "\x00" not in key and len(key.encode(errors="surrogatepass")) <= MAX_KEY_BYTES


def points_of(frames: Sequence[IndicatorFrame]) -> Points:
    """The frames' points, an indicator after the other instead of a step after the other."""
    same_ids: dict[tuple[int, tuple[str, ...]], list[IndicatorFrame]] = {}
    for frame in frames:
        same_ids.setdefault((frame.step, tuple(frame.points.id)), []).append(frame)
    points = Points({}, {})
    dropped = 0
    parts: dict[tuple[str, int], list[PointColumns]] = {}
    for (step, ids), group in same_ids.items():
        ordered = sorted(group, key=lambda frame: frame.at)
        # numpy reads None as NaN: (frames, ids)
        values = np.array([frame.points.value for frame in ordered], dtype=np.float64)
        weights = np.array([frame.points.weight for frame in ordered], dtype=np.float64)
        at = np.array([frame.at for frame in ordered], dtype=np.int64)
        starts = np.array([row_start(frame.at, step) for frame in ordered], dtype=np.int64)
        firsts = np.flatnonzero(np.diff(starts, prepend=-1))
        slices = list(zip(firsts.tolist(), [*firsts[1:].tolist(), at.size], strict=True))
        for column, point_id in enumerate(ids):
            if not _is_storable(point_id):
                dropped += len(ordered)
                continue
            for first, end in slices:
                part = PointColumns(at[first:end], values[first:end, column], weights[first:end, column])
                parts.setdefault((point_id, int(starts[first])), []).append(part)
            _take_latest(points.latest, ordered[-1], column)
    for key, pieces in parts.items():
        points.rows[key] = merge_points(*pieces)
    return Points(points.latest, points.rows, dropped, _baselines_of(frames))


def _baselines_of(frames: Sequence[IndicatorFrame]) -> dict[str, LatestBaseline]:
    found: dict[str, LatestBaseline] = {}
    for frame in sorted(frames, key=lambda frame: frame.at):
        if isinstance(frame.baselines, Baselines):
            told = frame.baselines
            columns = zip(frame.points.id, told.expected, told.spread, told.rung, told.season, strict=True)
            found |= {row[0]: LatestBaseline(*row, frame.at) for row in columns if _is_storable(row[0])}
    return found


def _take_latest(latest: dict[str, LatestPoint], frame: IndicatorFrame, column: int) -> None:
    columns = frame.points
    point_id = columns.id[column]
    known = latest.get(point_id)
    if known is None or frame.at >= known.at:
        latest[point_id] = LatestPoint(point_id, columns.value[column], columns.weight[column], frame.at, frame.step)

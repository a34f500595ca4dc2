"""Records as rows: what one round of reading comes to."""

import math

import numpy as np
import pytest

from agents.storage.history import PointColumns, decode_points, encode_points, merge_points, row_start
from agents.web.history.batch import MAX_KEY_BYTES, decode_events, decode_frames, points_of
from budgets.event import encode_event
from streams.frame import IndicatorFrame, Points, encode_frame
from tests.unit.alert_events import alert_event
from tests.unit.fake_log import INDICATORS, START_MS, STEP_MS, FakeRecord


def columns(*points: tuple[int, float, float]) -> PointColumns:
    at, value, weight = zip(*points, strict=True) if points else ((), (), ())
    return PointColumns(np.array(at, dtype=np.int64), np.array(value, dtype=float), np.array(weight, dtype=float))


def frame(step: int, values: dict[str, float | None]) -> IndicatorFrame:
    return IndicatorFrame(
        START_MS + step * STEP_MS, STEP_MS, Points(list(values), list(values.values()), [None] * len(values))
    )


def record(value: bytes | None) -> FakeRecord:
    return FakeRecord(INDICATORS, 0, 0, None, value)


def test_points_survive_their_encoding_bit_by_bit() -> None:
    points = columns((START_MS, 0.1, 3.0), (START_MS + 15_000, math.nan, math.nan), (START_MS + 45_000, -1e300, 0.0))
    again = decode_points(encode_points(points))
    assert again.at.tolist() == points.at.tolist()
    assert again.value.tobytes() == points.value.tobytes()
    assert again.weight.tobytes() == points.weight.tobytes()


def test_an_hour_of_steps_takes_less_space_than_its_numbers() -> None:
    rng = np.random.default_rng(1)
    at = START_MS + STEP_MS * np.arange(240, dtype=np.int64)
    points = PointColumns(at, rng.normal(200, 5, 240), rng.poisson(3000, 240).astype(float))
    assert len(encode_points(points)) < 240 * 12


def test_merging_keeps_each_time_once_and_the_later_word_wins() -> None:
    merged = merge_points(columns((1, 1.0, 1.0), (3, 3.0, 1.0)), columns((2, 2.0, 1.0), (3, 30.0, 1.0)))
    assert merged.at.tolist() == [1, 2, 3]
    assert merged.value.tolist() == [1.0, 2.0, 30.0]


def test_points_are_put_into_rows_of_240_steps_and_the_newest_is_known() -> None:
    points = points_of([frame(step, {"a/x": float(step), "a/y": None}) for step in (239, 240, 238)])
    first, second = row_start(START_MS + 239 * STEP_MS, STEP_MS), row_start(START_MS + 240 * STEP_MS, STEP_MS)
    assert first != second
    assert points.rows["a/x", first].value.tolist() == [238.0, 239.0]
    assert points.rows["a/x", second].value.tolist() == [240.0]
    assert np.isnan(points.rows["a/y", second].value).all()
    assert points.latest["a/x"].value == 240.0
    assert points.latest["a/y"].value is None


def test_frames_of_other_indicators_and_partitions_meet_in_one_batch() -> None:
    points = points_of([frame(1, {"a/x": 1.0}), frame(0, {"b/x": 2.0}), frame(2, {"a/x": 3.0, "a/new": 4.0})])
    assert {key: value.value.tolist() for (key, _), value in points.rows.items()} == {
        "a/x": [1.0, 3.0],
        "b/x": [2.0],
        "a/new": [4.0],
    }
    assert points.latest["a/x"].value == 3.0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not an indicator frame"),
        (None, "not an indicator frame"),
        (b"\xff\x00", "not an indicator frame"),
        (b'{"at":1}', "not an indicator frame"),
        (b'{"at":1,"step":15000,"points":{"id":["a"],"value":[],"weight":[]}}', "different lengths"),
        (b'{"at":-1,"step":15000,"points":{"id":[],"value":[],"weight":[]}}', "at -1"),
        (b'{"at":1,"step":0,"points":{"id":[],"value":[],"weight":[]}}', "step 0"),
        (b'{"at":99999999999999999,"step":15000,"points":{"id":[],"value":[],"weight":[]}}', "at 9"),
        (b'{"at":1,"step":15000,"points":{"id":["a"],"value":[1e999],"weight":[null]}}', "not an indicator frame"),
    ],
)
def test_a_record_that_is_no_frame_is_set_aside_with_a_reason(value: bytes | None, reason: str) -> None:
    good = record(encode_frame(frame(1, {"a/x": 1.0})))
    frames, poison = decode_frames([record(value), good])
    assert reason in poison[0].reason
    assert frames == [frame(1, {"a/x": 1.0})]


@pytest.mark.parametrize("value", [b"", None, b"{}", b'{"schema":1}', b"null"])
def test_a_record_that_is_no_alert_event_is_set_aside_with_a_reason(value: bytes | None) -> None:
    good = alert_event("firing", 1)
    events, poison = decode_events([record(value), record(encode_event(good))])
    assert events == [good]
    assert "not an alert event" in poison[0].reason


def test_an_event_without_a_real_time_is_set_aside() -> None:
    broken = encode_event(alert_event("firing", 1)).replace(b'"at":"2', b'"at":"x')
    assert decode_events([record(broken)])[1]


@pytest.mark.parametrize("point_id", ["a/x\x00", "a/" + "x" * MAX_KEY_BYTES])
def test_a_point_whose_id_no_database_takes_is_dropped_and_counted(point_id: str) -> None:
    points = points_of([frame(1, {point_id: 1.0, "a/x": 2.0})])
    assert points.dropped == 1
    assert set(points.latest) == {"a/x"}

"""Recorded values row by row through the Judge: causal, in their own times, with what cannot be used named."""

import math
import random

import pytest

from budgets.backtest.columns import Columns, Directions, watch_columns
from budgets.backtest.grid import infer_step_ms, steps_of
from budgets.backtest.play import Decided, play
from budgets.backtest.recording import Recording, RecordingError, parse_stamp, read_recording
from budgets.spec.load import load_budgets

STEP_MS = 60_000
START_S = 1_700_000_000


def recording_of(values: list[float | None], *, jitter_s: int = 0, name: str = "api.csv") -> Recording:
    times = [(START_S + 60 * row + (jitter_s if row % 3 == 1 else 0)) * 1000 for row in range(len(values))]
    return Recording(name, ("latency",), [str(time // 1000) for time in times], times, [values])


def shifted(rows: int, at: int, size: float, seed: int = 1) -> list[float | None]:
    rng = random.Random(seed)
    return [100.0 + rng.gauss(0.0, 2.0) + (size if row >= at else 0.0) for row in range(rows)]


def played(recording: Recording, directions: Directions = "above", columns: Columns | None = None) -> list[Decided]:
    columns = columns or watch_columns(recording.columns, "api", directions, STEP_MS)
    return list(play(recording, columns, steps_of(recording.times, STEP_MS), STEP_MS, scored=True))


def transitions(decided: list[Decided]) -> list[tuple[int, str, str, str]]:
    return [(each.row, event.kind, event.transition, event.direction) for each in decided for event in each.events]


def firing_rows(decided: list[Decided], kind: str = "regression") -> list[int]:
    return [row for row, found, transition, _ in transitions(decided) if (found, transition) == (kind, "firing")]


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1400000000",
        "1400000000.0",
        "1400000000000",
        "2014-05-13T16:53:20Z",
        "2014-05-13 16:53:20",
        " 2014-05-13 16:53:20 ",
        "2014-05-13T18:53:20+02:00",
        "2014-05-13T16:53:20.000Z",
    ],
)
def test_every_way_to_write_a_time_is_the_same_time(text: str) -> None:
    assert parse_stamp(text) == 1_400_000_000_000


def test_a_file_is_columns_of_values_and_gaps() -> None:
    recording = read_recording("\ufefftimestamp,a,b\n60,1,\n120,nan,2e3\n\n180,+Inf, 3\n", "x.csv")
    assert recording.columns == ("a", "b")
    assert recording.times == [60_000, 120_000, 180_000]
    assert recording.values == [[1.0, None, None], [None, 2000.0, 3.0]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "x.csv:1: expected a header whose first column is timestamp, got an empty file"),
        ("time,a\n1,2\n", "x.csv:1: expected a header whose first column is timestamp, got 'time'"),
        ("timestamp\n1\n", "x.csv:1: expected a column of values beside timestamp"),
        ("timestamp,a,a\n", "x.csv:1: a second column 'a'"),
        ("timestamp,a,\n", "x.csv:1: column 3 has no name"),
        ("timestamp,a\n1,2\n2\n", "x.csv:3: 1 fields, expected 2 as in the header"),
        ("timestamp,a\n1,2\n\n2,x\n", "x.csv:4: a: expected a number, got 'x'"),
        ("timestamp,a\nnow,2\n", "x.csv:2: timestamp: expected Unix seconds, milliseconds or RFC 3339, got 'now'"),
        ("timestamp,a\n-5,2\n", "x.csv:2: timestamp: expected Unix seconds, milliseconds or RFC 3339, got '-5'"),
        ('timestamp,a\n1,"2\n', "x.csv:2: not CSV: unexpected end of data"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_line_and_column(text: str, complaint: str) -> None:
    with pytest.raises(RecordingError) as error:
        read_recording(text, "x.csv")
    assert str(error.value) == complaint


# --- time ------------------------------------------------------------------------------------------------------------


def test_the_step_of_a_file_is_the_usual_distance_of_its_first_rows() -> None:
    assert infer_step_ms([0, 300_000, 600_000, 600_000, 1_800_000]) == 300_000
    assert infer_step_ms([5_000, 5_000]) is None
    later = [60_000 * row for row in range(101)]
    assert infer_step_ms([*later, *(later[-1] + 1_000 * row for row in range(1, 900))]) == 60_000


def test_rows_that_come_early_or_late_keep_their_steps() -> None:
    times = [7_000, 66_000, 128_000, 187_000, 240_000]
    assert steps_of(times, 60_000) == [7_000, 67_000, 127_000, 187_000, 247_000]


def test_rows_without_a_step_of_their_own_are_not_judged() -> None:
    assert steps_of([0, 60_000, 60_000, 120_000], 60_000) == [0, 60_000, None, 120_000]
    assert steps_of([0, 3_600_000, 0, 60_000, 3_660_000], 60_000) == [0, 3_600_000, None, None, 3_660_000]
    assert steps_of([0, 10_000, 20_000, 30_000], 60_000) == [0, None, None, 60_000]


def test_events_carry_the_times_of_rows_not_of_steps() -> None:
    recording = recording_of(shifted(600, 400, 40.0), jitter_s=9)
    decided = played(recording)
    assert firing_rows(decided)
    for each in decided:
        for event in each.events:
            assert parse_stamp(event.at) == recording.times[each.row]
            assert parse_stamp(event.starts_at) in recording.times


# --- judging ---------------------------------------------------------------------------------------------------------


def test_a_shift_is_found_and_noise_is_not() -> None:
    (row,) = firing_rows(played(recording_of(shifted(900, 700, 40.0))))
    assert 700 <= row <= 705
    assert firing_rows(played(recording_of(shifted(900, 900, 0.0)))) == []


def test_each_direction_finds_its_own_shifts_and_both_find_all_under_one_name() -> None:
    up, down = recording_of(shifted(900, 700, 40.0)), recording_of(shifted(900, 700, -40.0))
    assert firing_rows(played(down, "above")) == []
    assert firing_rows(played(up, "below")) == []
    for recording, direction in ((up, "above"), (down, "below")):
        events = [event for each in played(recording, "both") for event in each.events if event.kind == "regression"]
        assert {(event.indicator, event.direction) for event in events} == {("latency", direction)}


def test_a_column_without_data_is_told_once_in_both_directions() -> None:
    values: list[float | None] = [*shifted(100, 100, 0.0), *([None] * 30)]
    found = [each for each in transitions(played(recording_of(values), "both")) if each[1] == "no_data"]
    assert [(transition, direction) for _, _, transition, direction in found] == [("firing", "above")]


@pytest.mark.parametrize("directions", ["above", "both"])
def test_the_first_part_of_a_file_gives_the_same_events_and_severities(directions: Directions) -> None:
    whole = recording_of(shifted(1000, 500, 25.0))
    cut = 600
    part = Recording(whole.name, whole.columns, whole.stamps[:cut], whole.times[:cut], [whole.values[0][:cut]])
    assert firing_rows(played(part, directions))
    assert played(part, directions) == played(whole, directions)[:cut]


def test_severities_are_shares_that_grow_with_the_deviation() -> None:
    severities = [each.severities[0] for each in played(recording_of(shifted(900, 700, 40.0)))]
    assert all(0.0 <= severity <= 1.0 and math.isfinite(severity) for severity in severities)
    assert min(severities[700:705]) > max(severities[400:700])


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_value_that_never_varies_is_judged_and_quiet(value: float) -> None:
    assert transitions(played(recording_of([value] * 2000), "both")) == []


def test_a_column_that_its_budget_has_is_judged_by_it() -> None:
    (budget,) = load_budgets(
        '{"api": {"indicators": {"latency": {"expr": "x", "unit": "ms", "max": 120, "warning_threshold": 1.0}}}}',
        "b.json",
        step_ms=STEP_MS,
    )
    columns = watch_columns(("latency", "other"), "api", "above", STEP_MS, budget)
    assert columns.known == (True, False)
    one = watch_columns(("latency",), "api", "above", STEP_MS, budget)
    decided = played(recording_of(shifted(300, 200, 40.0)), columns=one)
    assert firing_rows(decided, "budget")
    assert columns.ids[0] == ("api/latency",)


def test_names_of_columns_may_hold_anything() -> None:
    recording = recording_of(shifted(900, 700, 40.0))
    name = 'p95{route="/a b",x}'
    odd = Recording(recording.name, (name,), recording.stamps, recording.times, recording.values)
    events = [event for each in played(odd, "both") for event in each.events]
    assert {event.indicator for event in events} == {name}

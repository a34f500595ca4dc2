"""The detection benchmark judges causally, counts as it says, and runs on small data."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import copies, steps
from benchmarks.detection.copies_row import CopiesRow
from benchmarks.detection.curves import Curve, judge, regular
from benchmarks.detection.data import DataMissingError, KpiCurve, grid_steps, kpi_curves, nab_files, require
from benchmarks.detection.figure import Figure, as_json, markdown
from benchmarks.detection.kpi_row import KpiRow
from benchmarks.detection.method import Decision, FloatArray, Kind
from benchmarks.detection.methods import METHODS
from benchmarks.detection.noise import NOISES, Noise, NoiseName
from benchmarks.detection.prefix_row import differing
from benchmarks.detection.row import Options
from tests.unit.detection_bench import STEP_MS, Above, above, looks_ahead, write_kpi

RNG_SEED = 7


def noisy_curve(name: str, count: int, level: float = 100.0) -> Curve:
    rng = np.random.default_rng([RNG_SEED, *name.encode()])
    return regular(name, STEP_MS, 0, level + rng.normal(0.0, 1.0, count))


@pytest.mark.parametrize("name", NOISES)
def test_noise_has_unit_variance_and_is_the_same_again(name: NoiseName) -> None:
    day = 5_760
    blocks = [Noise(name, 40, 15_000, 3).block(0, day) for _ in range(2)]
    assert np.array_equal(blocks[0], blocks[1])
    expected = 1.0 + (3.0**2 / 2.0 if name == "season" else 0.0)  # a sine has half its squared amplitude
    assert blocks[0].var() == pytest.approx(expected, rel=0.1)


def test_neighbours_of_autoregressive_noise_resemble_each_other_over_blocks_too() -> None:
    noise = Noise("ar1", 200, 15_000, 3)
    values = np.vstack([noise.block(0, 10), *(noise.block(10 * n, 10) for n in range(1, 40))])
    assert np.mean(values[1:] * values[:-1]) == pytest.approx(0.5, abs=0.05)


def test_a_step_is_found_by_an_alarm_that_begins_with_it_and_no_earlier_one() -> None:
    # Levels are drawn from 1 to 1,000 and steps are small beside them: who alarms from the start finds no step.
    always = steps.measure_delays(above(-1e9), "gaussian", 2, 1)
    assert (always.delay == -1).all()
    assert always.early == len(always.delay)


@pytest.mark.parametrize(
    "name", ["ADWIN", "PageHinkley", "KSWIN", "HalfSpaceTrees", "rolling MAD", "spectral residual"]
)
def test_no_rival_looks_ahead(name: str) -> None:
    assert differing(METHODS[name], [noisy_curve("a", 300), noisy_curve("b", 300)]) == 0


def test_driftline_does_not_look_ahead() -> None:
    curves = [noisy_curve(f"curve {number}", 3_400) for number in range(10)]  # over a day: it has to be warm
    for curve in curves:
        curve.values[2_020:] += 5.0
    assert differing(METHODS["driftline"], curves) == 0
    (judged,) = judge(METHODS["driftline"], curves[:1])
    assert judged.began[2_020:2_040].any()


def test_a_prefix_that_is_judged_otherwise_is_noticed() -> None:
    assert differing(looks_ahead(), [noisy_curve("a", 100)]) == 1


def test_curves_are_judged_at_their_own_time_of_the_week() -> None:
    seen: list[tuple[int, float]] = []

    class Recorder(Above):
        def observe(self, at_ms: int, values: FloatArray) -> Decision:
            seen.append((at_ms % (7 * 86_400_000), float(values[0])))
            return super().observe(at_ms, values)

    start_ms = 5 * 86_400_000 + 3_600_000
    judge(Kind(lambda *_: Recorder(1, 0.0)), [regular("a", STEP_MS, start_ms, np.array([1.0, 2.0]))])
    assert seen == [(start_ms, 1.0), (start_ms + STEP_MS, 2.0)]


def test_a_hole_in_a_curve_is_no_value_for_the_method() -> None:
    curve = Curve("a", STEP_MS, 0, np.array([1.0, 5.0, 1.0]), np.array([0, 3, 4]))
    (judged,) = judge(above(2.0), [curve])
    assert judged.alarm.tolist() == [False, True, False]
    assert judged.score.tolist() == [1.0, 5.0, 1.0]


def test_rows_that_repeat_a_time_take_the_next_free_step() -> None:
    times = np.array([0, 60, 60, 120, 420], dtype=np.int64)
    assert grid_steps(times, 60).tolist() == [0, 1, 2, 3, 7]


def test_data_that_is_not_there_is_said_with_the_option_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"no kpi and no nab in .*--data"):
        require(tmp_path)


def test_nab_files_are_read_with_their_windows(tmp_path: Path) -> None:
    folder = tmp_path / "nab"
    (folder / "labels").mkdir(parents=True)
    (folder / "data" / "real").mkdir(parents=True)
    windows = {"real/a.csv": [["2015-01-01 00:05:00.000000", "2015-01-01 00:10:00.000000"]]}
    (folder / "labels" / "combined_windows.json").write_text(json.dumps(windows), encoding="utf-8")
    rows = "timestamp,value\n2015-01-01 00:00:00,1\n2015-01-01 00:05:00,2\n2015-01-01 00:10:00,3\n"
    (folder / "data" / "real" / "a.csv").write_text(rows, encoding="utf-8")
    (file,) = nab_files(tmp_path)
    assert (file.curve.step_ms, file.curve.values.tolist(), file.windows) == (300_000, [1.0, 2.0, 3.0], [(1, 2)])


def test_the_threshold_of_scores_comes_from_the_first_half_alone(tmp_path: Path) -> None:
    values, label = np.zeros(4_000), np.zeros(4_000, dtype=np.int8)
    for place, score in ((500, 0.9), (1_500, 0.8), (2_500, 0.7), (3_500, 0.85)):
        values[place : place + 10] = score
        label[place : place + 10] = 1
    write_kpi(tmp_path, "a", values, label)
    kind = above(0.75)
    (curve,) = kpi_curves(tmp_path)
    figures = KpiRow().figures("x", [judge(kind, [curve.curve])], Options(tmp_path))
    shown = {figure.measure: figure.value for figure in figures}
    # The first half's best threshold, 0.8, misses what has 0.7 in the second half; a look at it would not.
    assert shown["F1, k = 7, scores, threshold of the first half"] == pytest.approx(2 * 10 / (2 * 10 + 10))
    assert shown["F1, k = 7, default alarms"] == pytest.approx(2 * 10 / (2 * 10 + 10))


def steady_kpi(days: int) -> KpiCurve:
    rng = np.random.default_rng(RNG_SEED)
    minutes = np.arange(2 * days * copies.DAY)
    season = 1.0 + 0.3 * np.sin(2 * np.pi * minutes / copies.DAY)
    values = 50.0 * season * (1.0 + 0.02 * rng.standard_normal(len(minutes)))
    label = np.zeros(len(minutes), dtype=np.bool_)
    return KpiCurve(regular("kpi", STEP_MS, 0, values), label, len(minutes) // 2)


def test_a_stretch_ends_where_something_is_labelled_and_where_the_level_leaves() -> None:
    curve = steady_kpi(9)
    curve.label[4 * copies.DAY + 10] = True
    lengths = [len(stretch.curve.values) // copies.DAY for stretch in copies.stretches([curve], steady=True)]
    assert lengths == [4, 4]
    curve.curve.values[6 * copies.DAY :] *= 1.5
    assert len(copies.stretches([curve], steady=True)) == 1
    assert len(copies.stretches([curve], steady=False)) == 2


def test_the_residual_of_a_season_is_its_noise() -> None:
    sigma, correlation = copies.residual(steady_kpi(5).curve.values)
    assert sigma == pytest.approx(0.02, rel=0.15)
    assert correlation < 0.1


def test_a_copy_differs_from_its_stretch_from_its_place_on_by_its_size() -> None:
    (stretch,) = copies.stretches([steady_kpi(5)], steady=True)
    for copy in copies.copies(stretch, 1):
        ratio = copy.curve.values / stretch.curve.values[: len(copy.curve.values)]
        assert ratio[: copy.place] == pytest.approx(1.0)
        changed = {"step": ratio[-1], "ramp": ratio[-1], "transient": ratio[copy.place]}[copy.shape]
        assert changed == pytest.approx(1.0 + copy.size)
        if copy.shape == "transient":
            assert ratio[copy.place + copies.TRANSIENT] == pytest.approx(1.0)


def test_a_detector_that_knows_the_level_finds_steps_and_closes_transients(tmp_path: Path) -> None:
    (tmp_path / "nab").mkdir()
    curve = steady_kpi(5)
    flat = 50.0 * (1.0 + 0.02 * np.random.default_rng(1).standard_normal(len(curve.label)))
    write_kpi(tmp_path, "a", flat, curve.label.astype(np.float64))
    METHODS["test above"] = above(50.0 * 1.15)
    try:
        tasks = CopiesRow().tasks("test above", Options(tmp_path))
        figures = CopiesRow().figures("test above", [task() for task in tasks], Options(tmp_path))
    finally:
        del METHODS["test above"]
    shown = {figure.measure: figure.value for figure in figures}
    # Half of the changes go down, which it does not look at; +5 % and +10 % stay below its threshold.
    assert shown["steps >= 2 sigma found within an hour, 50%, %"] == 50.0
    assert shown["10-minute transients seen, %"] == 50.0
    assert shown["transients that were one incident, opened and closed, %"] == 50.0
    assert shown["false incidents per 30 curve-days, steady stretches"] == 0.0


def test_the_table_shows_methods_side_by_side_and_the_json_where_figures_come_from() -> None:
    figures = [Figure("row", "delay", "a", 22.53, "<= 23", "21"), Figure("row", "delay", "b", None)]
    assert "| delay | <= 23 | 21 | 22.5 | - |" in markdown(figures)
    document = json.loads(as_json(figures, "machine", "abc"))
    assert (document["commit"], document["figures"][0]["value"]) == ("abc", 22.53)

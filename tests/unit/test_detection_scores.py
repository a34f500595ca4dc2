"""The two public scores, against cases that were computed by hand."""

import math

import numpy as np
import pytest

from benchmarks.detection import kpi_score, nab_score


def flags(text: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([character == "x" for character in text])


@pytest.mark.parametrize(
    ("alarm", "label", "counts"),
    [
        ("..x...", "..xxx.", (3, 0, 0)),  # in time: the whole anomaly is found
        ("....x.", "..xxx.", (3, 0, 0)),  # two points late, which are allowed
        (".....x", "..xxxx", (0, 0, 4)),  # three points late
        ("x.....", "..xxx.", (0, 1, 3)),  # an alarm before it is none for it
        ("xx..x.", "......", (0, 3, 0)),  # every point of a false alarm counts
    ],
)
def test_an_anomaly_is_found_whole_or_not_at_all(alarm: str, label: str, counts: tuple[int, int, int]) -> None:
    assert kpi_score.point_counts(flags(alarm), flags(label), delay=2) == counts


def test_f1_is_taken_over_the_points_of_all_curves() -> None:
    alarms, labels = [flags("..x.."), flags("x....")], [flags("..xxx"), flags("...xx")]
    # 3 found, 1 false, 2 missed
    assert kpi_score.f1(alarms, labels, delay=2) == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))


def test_the_best_threshold_weighs_anomalies_by_their_points() -> None:
    score = np.array([0.1, 0.9, 0.2, 0.3, 0.8, 0.2, 0.5, 0.1], dtype=np.float32)
    label = flags(".....xx.")
    # At 0.5 the anomaly of two points is found with two false points: F1 0.667; nothing higher finds it.
    assert kpi_score.best_threshold([score], [label], delay=2) == pytest.approx(0.5)


def test_alarms_near_each_other_are_one_incident() -> None:
    alarm, label = np.zeros(100, dtype=np.bool_), np.zeros(100, dtype=np.bool_)
    alarm[[10, 25, 60]] = True  # 15 apart: one; 35 apart: another
    assert kpi_score.events(alarm, label) == kpi_score.Events(found=0, total=0, false=2)


def test_an_incident_that_touches_an_anomaly_or_comes_right_after_it_is_not_false() -> None:
    alarm, label = np.zeros(200, dtype=np.bool_), np.zeros(200, dtype=np.bool_)
    label[50:60] = True
    alarm[[40, 52]] = True  # began before it, and reached into it
    alarm[[74, 190]] = True  # 14 points after its end is excused, long after is not
    assert kpi_score.events(alarm, label) == kpi_score.Events(found=1, total=1, false=1)


def sigmoid(x: float) -> float:
    return 2 / (1 + math.exp(5 * x)) - 1


def test_the_place_in_a_window_decides_what_an_alarm_is_worth() -> None:
    marks = nab_score.mark(20, [(5, 9)])
    assert marks.first == 3
    assert marks.worth[5] == pytest.approx(1.0)
    assert marks.worth[9] == pytest.approx(sigmoid(-1 / 5) / sigmoid(-1))
    assert marks.worth[4] == -1.0  # nothing came before it
    assert marks.worth[11] == pytest.approx(sigmoid(2 / 4))
    assert marks.window.tolist() == [-1] * 5 + [0] * 5 + [-1] * 10


def test_only_the_best_alarm_of_a_window_counts_and_each_outside_costs() -> None:
    marks = {"file": nab_score.mark(40, [(20, 24)])}
    scores = np.zeros(40)
    scores[[20, 22, 10, 12]] = 1.0
    profile = nab_score.PROFILES["standard"]
    raw = 1.0 - 2 * 0.11  # a perfect alarm, two false rows far from any window
    assert nab_score.at_threshold({"file": scores}, marks, profile, 0.5) == pytest.approx(100 * (raw + 1) / 2)


def test_never_alarming_is_zero_and_one_alarm_at_the_start_of_each_window_a_hundred() -> None:
    marks = {"a": nab_score.mark(40, [(20, 24)]), "b": nab_score.mark(40, [(30, 33)]), "c": nab_score.mark(40, [])}
    scores = {name: np.zeros(40) for name in marks}
    scores["a"][20] = scores["b"][30] = 1.0
    for profile in nab_score.PROFILES.values():
        assert nab_score.at_threshold(scores, marks, profile, 2.0) == pytest.approx(0.0)
        value, threshold = nab_score.best(scores, marks, profile)
        assert (value, threshold) == pytest.approx((100.0, 1.0))


def test_rows_where_detectors_learn_do_not_count() -> None:
    marks = {"file": nab_score.mark(100, [(50, 59)])}
    scores = np.zeros(100)
    scores[:15] = 1.0
    assert nab_score.at_threshold({"file": scores}, marks, nab_score.PROFILES["standard"], 0.5) == 0.0


def test_rows_of_equal_score_alarm_together() -> None:
    marks = {"file": nab_score.mark(40, [(20, 24)])}
    scores = np.full(40, 0.5)  # a threshold that finds the window alarms everywhere
    value, threshold = nab_score.best({"file": scores}, marks, nab_score.PROFILES["standard"])
    assert (value, threshold) == (0.0, math.inf)


def test_a_threshold_of_the_other_half_is_not_the_own_best_one() -> None:
    marks = {name: nab_score.mark(40, [(20, 24)]) for name in ("a", "b")}
    scores = {"a": np.zeros(40), "b": np.zeros(40)}
    scores["a"][20], scores["b"][20] = 0.9, 0.4  # b is found only by its own threshold
    profile = nab_score.PROFILES["standard"]
    assert nab_score.two_fold(scores, marks, profile) == pytest.approx(50.0)
    assert nab_score.best(scores, marks, profile)[0] == pytest.approx(100.0)

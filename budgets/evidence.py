"""The numbers of an alert event, from what the detector knows at that step. Only what its rung can vouch for."""

from collections.abc import Iterable

from budgets.event import Evidence, format_time
from streams.detect.detector import Detector, Finding
from streams.frame import Baselines


def evidence_of(detector: Detector, finding: Finding | None, at: int) -> Evidence:
    """What stands behind a decision at step `at`.

    finding: of this step; None = its value is missing or says nothing, so only the baseline is known.
    """
    baseline = detector.baseline
    rung = baseline.rung
    onset = format_time(detector.onset_ms) if detector.onset_ms else None
    if rung == "limits":
        return Evidence(onset=onset, rung=rung)
    expected = finding.expected if finding else baseline.expect(at)
    learned_from, learned_to = baseline.learned_ms
    since, until = format_time(learned_from), format_time(learned_to)
    if finding is None:
        return Evidence(
            baseline=expected,
            baseline_from=since,
            baseline_to=until,
            onset=onset,
            rung=rung,
            season=baseline.period,
        )
    if rung == "change":
        methods = tuple(name for name in finding.methods if name == "change_ratio")
        return Evidence(
            baseline=expected,
            baseline_from=since,
            baseline_to=until,
            change_ratio=finding.change,
            samples=1,
            onset=onset,
            methods=methods,
            rung=rung,
        )
    confidence = detector.confidence
    return Evidence(
        baseline=expected,
        baseline_from=since,
        baseline_to=until,
        change_ratio=confidence.change,
        z=finding.z,
        ci95=confidence.interval,
        p_value=confidence.p_value,
        samples=confidence.samples,
        onset=onset,
        trend_per_hour=detector.trend.per_hour,
        methods=finding.methods,
        rung=rung,
        season=baseline.period,
    )


def baselines_at(at: int, detectors: Iterable[Detector | None]) -> Baselines:
    """What is usual at a step, in columns. detectors: of the points that its frame has; None = it was not judged."""
    columns = Baselines([], [], [], [])
    for detector in detectors:
        baseline = detector.baseline if detector is not None else None
        rung = baseline.rung if baseline is not None else "limits"
        columns.expected.append(baseline.expect(at) if baseline is not None and rung != "limits" else None)
        columns.spread.append(baseline.spread if baseline is not None and baseline.is_warm else None)
        columns.rung.append(rung)
        columns.season.append(baseline.period if baseline is not None else None)
    return columns

"""The public labelled data: where it is, and how its files are read.

It is no part of the repository; `--data` says where it lies. Only this benchmark needs it.
"""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.curves import Curve, regular
from benchmarks.detection.method import BoolArray, FloatArray

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data"


class KpiCurve(NamedTuple):
    """A curve of the challenge. half: how many values its first half has."""

    curve: Curve
    label: BoolArray
    half: int


class NabFile(NamedTuple):
    """A file of the benchmark. windows: (first, last) rows of its anomalies."""

    curve: Curve
    windows: list[tuple[int, int]]


class DataMissingError(FileNotFoundError):
    """The data is not where it was looked for."""


def require(folder: Path) -> Path:
    """The folder, if it holds both data sets."""
    missing = [name for name in ("kpi", "nab") if not (folder / name).is_dir()]
    if missing:
        raise DataMissingError(f"no {' and no '.join(missing)} in {folder}: say with --data where the data is")
    return folder


def kpi_curves(folder: Path) -> list[KpiCurve]:
    """All curves of AIOps-2018 KPI, by name."""
    curves = []
    for path in sorted((folder / "kpi").glob("*.npz")):
        with np.load(path) as archive:
            values, label = archive["value"].astype(np.float64), archive["label"] > 0
            step_ms, start_ms = int(archive["step"]) * 1_000, int(archive["t0"]) * 1_000
            curves.append(KpiCurve(regular(path.stem, step_ms, start_ms, values), label, int(archive["n_train"])))
    return curves


def nab_files(folder: Path) -> list[NabFile]:
    """All files of NAB, by name."""
    windows = json.loads((folder / "nab" / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    return [_nab_file(folder / "nab" / "data" / name, name, windows[name]) for name in sorted(windows)]


def _nab_file(path: Path, name: str, windows: list[list[str]]) -> NabFile:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [row["timestamp"] for row in rows]
    place: dict[str, int] = {}
    for number, text in enumerate(texts):
        place.setdefault(text, number)
    times = np.array([_milliseconds(text) for text in texts], dtype=np.int64)
    step_ms = int(np.median(np.diff(times)))
    curve = Curve(
        name, step_ms, int(times[0]), np.array([float(row["value"]) for row in rows]), grid_steps(times, step_ms)
    )
    return NabFile(curve, [(place[first.split(".")[0]], place[last.split(".")[0]]) for first, last in windows])


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


def grid_steps(times: NDArray[np.int64], step_ms: int) -> NDArray[np.int64]:
    """The step of each row, ascending: rows that repeat a time or go back take the next free step."""
    wanted = np.rint((times - times[0]) / step_ms).astype(np.int64)
    rows = np.arange(len(times))
    return np.asarray(np.maximum.accumulate(wanted - rows) + rows)


def published_scores(folder: Path) -> dict[str, dict[str, FloatArray]]:
    """Scores that the authors of other detectors published for every row of NAB: detector -> file -> scores."""
    found: dict[str, dict[str, FloatArray]] = {}
    with np.load(folder / "nab" / "published_detector_scores.npz") as archive:
        for key in archive.files:
            detector, _, name = key.partition("|")
            found.setdefault(detector, {})[name] = archive[key].astype(np.float64)
    return found

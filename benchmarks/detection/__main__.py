"""`make bench-detection`: the table of what Driftline's detection finds, misses and cries, beside its rivals.

    python -m benchmarks.detection [--rows NAME,NAME] [--methods NAME,NAME] [--streams N] [--processes 2] [--data DIR]

Reading order: `method.py` (the face of a detector), `driftline.py`, `rolling_mad.py`, `spectral_residual.py`,
`river_peers.py` (the detectors), `noise.py`, `limit.py`, `steps.py`, `noise_row.py` (steps in noise), `curves.py`,
`data.py`, `kpi_score.py`, `kpi_row.py`, `nab_score.py`, `nab_row.py` (labelled data), `run.py` (processes),
`figure.py` (the table).
"""

import argparse
import sys
from pathlib import Path

from benchmarks.detection.data import DEFAULT, DataMissingError, require
from benchmarks.detection.figure import Figure, as_json, markdown
from benchmarks.detection.methods import METHODS
from benchmarks.detection.row import Options
from benchmarks.detection.rows import NEED_DATA, ROWS
from benchmarks.detection.run import measure
from benchmarks.run import commit, machine


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description="Measure detection.")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"of {', '.join(METHODS)}; all by default")
    parser.add_argument(
        "--streams", type=int, default=200, help="streams of 30 days in each noise, and ten times as many steps"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DEFAULT, help="folder with kpi/ and nab/")
    parser.add_argument("--json", type=Path, default=Path("build/detection.json"), help="where the figures are written")
    arguments = parser.parse_args()
    for name, known in (("rows", ROWS), ("methods", METHODS)):
        chosen = getattr(arguments, name).split(",")
        setattr(arguments, name, chosen)
        if unknown := [one for one in chosen if one not in known]:
            parser.error(f"no such {name}: {', '.join(unknown)}")
    return arguments


def main() -> int:
    """Print the table row by row, then write all figures."""
    arguments = _arguments()
    options = Options(arguments.data, arguments.streams, arguments.seed)
    if NEED_DATA.intersection(arguments.rows):
        try:
            require(options.data)
        except DataMissingError as error:
            print(error, file=sys.stderr)
            return 2
    print(f"machine: {machine()}\ncommit:  {commit()}\n", flush=True)
    figures: list[Figure] = []
    for row in arguments.rows:
        of_row = measure(row, arguments.methods, options, arguments.processes)
        print(markdown(of_row), flush=True)
        figures += of_row
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(as_json(figures, machine(), commit()), encoding="utf-8")
    print(f"figures: {arguments.json}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

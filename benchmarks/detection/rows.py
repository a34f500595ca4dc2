"""Every row of the table by the name that `--rows` takes, in the order in which they are printed."""

from benchmarks.detection.copies_row import CopiesRow
from benchmarks.detection.cost_row import CostRow
from benchmarks.detection.kpi_row import KpiRow
from benchmarks.detection.nab_row import NabRow
from benchmarks.detection.noise_row import NoiseRow
from benchmarks.detection.prefix_row import PrefixRow
from benchmarks.detection.row import Row

ROWS: dict[str, Row] = {
    "gaussian": NoiseRow("gaussian", "steps in Gaussian noise"),
    "ar1": NoiseRow("ar1", "steps in AR(1) noise, coefficient 0.5"),
    "t4": NoiseRow("t4", "steps in Student-t(4) noise"),
    "season": NoiseRow("season", "steps on a daily season of 3 sigma"),
    "kpi": KpiRow(),
    "nab": NabRow(),
    "copies": CopiesRow(),
    "prefix": PrefixRow(),
    "cost": CostRow(),
}
NEED_DATA = frozenset({"kpi", "nab", "copies", "prefix"})

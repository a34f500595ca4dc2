"""Every method of the table by its name. Driftline comes first, the rivals after it.

The shares are what pure Python leaves: KSWIN takes 200 µs a value where the banks take less than one. How many samples
each was really given stands in the table.
"""

from benchmarks.detection.driftline import Driftline
from benchmarks.detection.method import Kind
from benchmarks.detection.river_peers import Drift, Trees, adwin, kswin, page_hinkley
from benchmarks.detection.rolling_mad import RollingMad
from benchmarks.detection.spectral_residual import SpectralResidual

METHODS: dict[str, Kind] = {
    "driftline": Kind(Driftline),
    "ADWIN": Kind(lambda streams, _step_ms, _scope: Drift(streams, adwin), share=0.25),
    "PageHinkley": Kind(lambda streams, _step_ms, _scope: Drift(streams, page_hinkley), share=0.25),
    "KSWIN": Kind(lambda streams, _step_ms, _scope: Drift(streams, kswin), share=0.005, real_samples=400_000),
    "HalfSpaceTrees": Kind(lambda streams, _step_ms, _scope: Trees(streams), share=0.03),
    "rolling MAD": Kind(lambda streams, _step_ms, _scope: RollingMad(streams), share=0.1),
    "spectral residual": Kind(lambda streams, _step_ms, _scope: SpectralResidual(streams), share=0.02),
}

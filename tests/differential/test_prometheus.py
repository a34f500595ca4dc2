"""Two thousand generated expressions have Prometheus' own values. `make differential` runs fifty thousand."""

import sys

import pytest

from streams.promql.functions import AGGREGATIONS, SIGNATURES
from tests.differential.run import run

pytestmark = pytest.mark.integration

CASES = 2_000


@pytest.mark.timeout(600)
def test_generated_expressions_equal_prometheus(capsys: pytest.CaptureFixture[str]) -> None:
    tally = run(seed=1, cases=CASES)
    with capsys.disabled():
        sys.stdout.write(f"\n{tally}\n")
    assert not tally.failures, tally.failures[0]
    assert tally.cases == CASES
    assert tally.values > CASES
    assert tally.native > CASES / 4
    assert tally.histograms > CASES / 10
    # What rounding decides proves nothing, so there must be next to none of it.
    assert len(tally.undetermined) < CASES / 200, tally.undetermined[:5]
    missing = (SIGNATURES.keys() | AGGREGATIONS.keys()) - tally.functions.keys()
    assert not missing, "the grammar never drew these"

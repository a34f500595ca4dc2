"""Prometheus' recording rules: what most people would let evaluate their indicators instead."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.prometheus import Prometheus, run_prometheus


def write_rules(directory: Path, expressions: Sequence[str], interval_seconds: float) -> Path:
    """A rule file that records `bench:<n>` for each expression, in one group."""
    rules = [{"record": f"bench:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    groups = {"groups": [{"name": "bench", "interval": f"{interval_seconds:g}s", "rules": rules}]}
    file = directory / "rules.json"  # JSON is YAML too
    file.write_text(json.dumps(groups), encoding="utf-8")
    return file


@contextmanager
def run_rules(expressions: Sequence[str], interval_seconds: float) -> Iterator[Prometheus]:
    """A receiver of remote write that records `bench:<n>` for each expression."""
    with tempfile.TemporaryDirectory(prefix="driftline-rules-") as directory:
        file = write_rules(Path(directory), expressions, interval_seconds)
        config = f"scrape_configs: []\nrule_files: [{file}]\n"
        with run_prometheus(config, "--web.enable-remote-write-receiver") as prometheus:
            yield prometheus

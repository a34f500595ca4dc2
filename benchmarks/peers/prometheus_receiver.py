"""Prometheus' own remote-write receiver: what most people would write to instead."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.prometheus import run_prometheus


@contextmanager
def run_receiver() -> Iterator[tuple[str, int]]:
    """A running receiver: the URL to write to, and its process id."""
    with run_prometheus("scrape_configs: []\n", "--web.enable-remote-write-receiver") as prometheus:
        assert prometheus.process is not None
        yield f"{prometheus.url}/api/v1/write", prometheus.process.pid

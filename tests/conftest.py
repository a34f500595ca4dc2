"""Fixtures that start real servers, and the outcome *not run* for tests whose server is not installed.

*not run* is neither passed nor skipped: it has its own letter, count and lines at the end of the run. With `CI=true`
such a test fails.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.embedded import EmbeddedBroker, run_embedded_broker
from tests.servers.kafka import KafkaCluster, run_kafka
from tests.servers.prometheus import Prometheus, run_prometheus
from tests.servers.tools import MissingServerError

NOT_RUN = "not run"


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the value sent back is the report
    report: pytest.TestReport = yield  # type: ignore[assignment]  # pluggy sends the result in
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, MissingServerError) and not _in_ci():
        reason = f"not run: no {error}"
        report.outcome = "skipped"  # as far as pytest's own bookkeeping goes: neither a pass nor a failure
        report.longrepr = (str(item.path), (item.location[1] or 0) + 1, reason)
        report.user_properties.append((NOT_RUN, reason))
    return report  # type: ignore[return-value]  # pluggy takes the result from here


def _reason(report: pytest.TestReport) -> str | None:
    return next((str(value) for name, value in report.user_properties if name == NOT_RUN), None)


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    if isinstance(report, pytest.TestReport) and report.skipped and (reason := _reason(report)):
        return NOT_RUN, "N", reason.upper()
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports: list[pytest.TestReport] = terminalreporter.stats.get(NOT_RUN, [])
    if not reports:
        return
    terminalreporter.section("tests that did not run", yellow=True)
    for report in reports:
        terminalreporter.line(f"{report.nodeid}: {_reason(report)}")
    missing = sorted({(_reason(report) or "").removeprefix("not run: no ") for report in reports})
    terminalreporter.line(
        f"{len(reports)} tests did not run: no {', no '.join(missing)} (tests/servers/install.sh brings them)",
        yellow=True,
    )


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[KafkaCluster]:
    """One Apache Kafka for the whole run; keep apart by `topic_prefix`, never stop it."""
    with run_kafka() as cluster:
        yield cluster


@pytest.fixture
def own_kafka() -> Iterator[KafkaCluster]:
    """An Apache Kafka of the test's own, that may be stopped."""
    with run_kafka() as cluster:
        yield cluster


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """An embedded broker of the test's own, that may be stopped and killed; topics have the default prefix."""
    with run_embedded_broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
def start_prometheus() -> Iterator[Callable[..., Prometheus]]:
    """Starts Prometheus servers: `start_prometheus(config_text, *flags)`, with `program` another than 3."""
    with ExitStack() as running:
        yield lambda config_text, *flags, **program: running.enter_context(
            run_prometheus(config_text, *flags, **program)
        )

"""The web role without Kafka: its application over a database that a projection has filled from a log in memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.access import load_access
from agents.metrics import WebMetrics
from agents.settings import Settings
from agents.storage.database import open_database
from agents.web.budgets_in_force import BudgetsInForce
from agents.web.changes import ChangeLog, ChangesApi
from agents.web.main import create_app
from budgets.change import Change
from budgets.order import Order
from budgets.spec.model import IndicatorSpec, ServiceBudget
from budgets.spec.resolve import document_of
from streams.frame import IndicatorFrame, Points, encode_frame
from tests.unit.fake_log import INDICATORS, STEP_MS, FakeLog
from tests.unit.projection_suite import create_projection, positions_of, running


def spec(service: str, name: str, **keys: object) -> IndicatorSpec:
    """An indicator with an upper limit of 200 ms unless `keys` say otherwise."""
    usual: dict[str, object] = {
        "kind": "response_time",
        "expr": "up",
        "unit": "ms",
        "direction": "above",
        "limit": 200.0,
        "warning": 160.0,
        "critical": 200.0,
    }
    return IndicatorSpec(id=f"{service}/{name}", service=service, name=name, **{**usual, **keys})  # type: ignore[arg-type]


def throughput(service: str) -> IndicatorSpec:
    return spec(
        service,
        "throughput",
        kind="throughput",
        unit="1/s",
        direction="below",
        limit=1000.0,
        warning=900.0,
        critical=800.0,
    )


def error_rate(service: str, **keys: object) -> IndicatorSpec:
    ratio = {"kind": "error_rate", "unit": "ratio", "limit": 0.01, "warning": 0.005, "critical": 0.008}
    return spec(service, "error_rate", **{**ratio, **keys})


@dataclass
class House:
    """A running web application and the log that feeds it. now_ms: the newest step, close to the real now."""

    engine: AsyncEngine
    log: FakeLog
    budgets: BudgetsInForce
    client: TestClient  # type: ignore[type-arg]  # of whatever application
    now_ms: int
    problems: dict[str, str] = field(default_factory=dict)
    not_ready: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    kafka_away: list[Exception] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(self.client.make_url("/")).rstrip("/")

    def promise(self, service: str, *specs: IndicatorSpec, effective_at: int = 0) -> None:
        """Put a budget in force."""
        budget = ServiceBudget(service, specs, source=f"budgets/{service}.json")
        self.budgets.on_order(
            f"budget/{service}", Order(f"budget/{service}", document_of(budget), "test", 0, effective_at)
        )

    def measure(self, values: dict[str, float | None], steps_ago: int = 0, weight: float | None = 100.0) -> None:
        """Publish a frame."""
        points = Points(list(values), list(values.values()), [weight] * len(values))
        at = self.now_ms - steps_ago * STEP_MS
        self.log.append(INDICATORS, 0, encode_frame(IndicatorFrame(at, STEP_MS, points)))

    async def project(self) -> None:
        """Let the projection read what was published."""
        projection, _ = create_projection(self.engine, self.log.consumer)
        ends = {(tp.topic, tp.partition): len(records) for tp, records in self.log.records.items()}
        async with running(projection):
            deadline = time.monotonic() + 20
            while await positions_of(self.engine) != ends:
                assert time.monotonic() < deadline, projection.problem
                await asyncio.sleep(0.01)


@asynccontextmanager
async def web_house(tmp_path: Path, web_config: Path | None = None) -> AsyncIterator[House]:
    """An empty house."""
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path}/driftline.db")
    budgets = BudgetsInForce()
    registry = CollectorRegistry()
    problems: dict[str, str] = {}
    not_ready: list[str] = []
    changes: list[Change] = []
    kafka_away: list[Exception] = []
    change_log = ChangeLog()

    async def write(_: Settings, change: Change) -> None:
        if kafka_away:
            raise kafka_away[0]
        changes.append(change)
        change_log.on_change(change)

    app = create_app(
        Settings(data_dir=tmp_path),
        engine,
        budgets,
        ChangesApi(Settings(data_dir=tmp_path), change_log, write),
        load_access(web_config),
        registry,
        WebMetrics(registry),
        lambda: not_ready[0] if not_ready else None,
        lambda: problems,
    )
    now_ms = round(time.time() * 1000) // STEP_MS * STEP_MS
    async with TestClient(TestServer(app)) as client:
        yield House(engine, FakeLog(), budgets, client, now_ms, problems, not_ready, changes, kafka_away)
    await engine.dispose()

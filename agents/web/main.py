"""The web role: history projection, API, status page. Wiring only; `__init__.py` has the reading order."""

import asyncio
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Protocol

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.access import Access, load_access
from agents.kafka.clients import create_consumer, create_producer
from agents.metrics import OrdersMetrics, WebMetrics
from agents.orders import OrderReader
from agents.probes import Readiness, add_probes, check_listen, create_registry, start_server
from agents.process import run_until_stopped
from agents.settings import Settings
from agents.storage.database import open_database
from agents.web.api import Api
from agents.web.budgets_in_force import BudgetsInForce
from agents.web.dead_letters import DeadLetters
from agents.web.history_reader import HistoryReader
from agents.web.history_writer import HistoryWriter
from agents.web.openapi import openapi_document
from agents.web.overview import OverviewSource
from agents.web.page import Problems, StatusPage
from agents.web.problems import problem_middleware
from agents.web.projection import Projection

# Everything comes from here, nothing runs that stands in the page itself, nobody frames it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class PublisherStatus(Protocol):
    """What the publisher of budget files says of itself (`agents/budget_files.py`), or a test in its place.

    problems: files that could not be taken, with the reason; the last good budgets of them stay in force.
    """

    @property
    def problems(self) -> Mapping[str, str]:
        """File -> reason."""


async def _protect(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def create_app(
    settings: Settings,
    engine: AsyncEngine,
    budgets: BudgetsInForce,
    access: Access,
    registry: CollectorRegistry,
    metrics: WebMetrics,
    ready: Readiness,
    problems: Callable[[], Problems],
) -> web.Application:
    """Everything that is served, over an open database."""
    app = web.Application(middlewares=[problem_middleware(metrics), access.middleware()])
    app.on_response_prepare.append(_protect)
    add_probes(app, registry, ready)
    reader = HistoryReader(engine)
    overview = OverviewSource(reader, budgets, settings.evaluation_delay)
    Api(overview, reader).add_routes(app)
    StatusPage(settings, overview, reader, problems).add_routes(app)
    description = msgspec.json.encode(openapi_document(version("driftline")))

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    app.router.add_get("/api/openapi.json", openapi)
    return app


async def _follow_orders(orders: OrderReader) -> None:
    """Follow the orders as soon as Kafka lets us; the history is served meanwhile."""
    while True:
        try:
            await orders.start()
        except TimeoutError:
            continue  # `orders.problem` says why
        await asyncio.Event().wait()


async def run_web(settings: Settings, publisher: PublisherStatus | None = None) -> None:
    """Run until SIGTERM.

    Args:
        publisher: the publisher of budget files if it runs in this process; already started.

    Raises:
        SettingsError: the operator's mistake.
        SQLAlchemyError: the database was not reachable at the start.
    """
    access = load_access(settings.web.web_config_file)
    check_listen(settings.web.listen, authenticated=access.authenticated, insecure_listen=settings.web.insecure_listen)
    registry = create_registry()
    metrics = WebMetrics(registry)
    budgets = BudgetsInForce()
    orders = OrderReader(settings, budgets.on_order, OrdersMetrics(registry))
    engine = await open_database(settings.database())
    projection = Projection(
        settings,
        HistoryWriter(engine, settings.kafka.log_id),
        metrics,
        lambda: create_consumer(settings.kafka, "driftline-web"),
        DeadLetters(settings, lambda: create_producer(settings.kafka, "driftline-web"), metrics),
    )

    def problems() -> Problems:
        own = {"history": projection.problem, "orders": orders.problem}
        files = publisher.problems if publisher is not None else {}
        return {**files, **{name: text for name, text in own.items() if text}}

    app = create_app(
        settings, engine, budgets, access, registry, metrics, lambda: projection.problem or orders.problem, problems
    )
    server = await start_server(app, settings.web.listen, ssl_context=access.ssl_context)
    parts = [
        asyncio.create_task(projection.run(), name="history projection"),
        asyncio.create_task(_follow_orders(orders), name="orders"),
    ]
    try:
        await run_until_stopped(*parts)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await server.cleanup()
        await orders.stop()
        await engine.dispose()

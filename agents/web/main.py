"""The web role: history projection, API, status page. Wiring only; `__init__.py` has the reading order."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.access import Access, load_access
from agents.budget_files import BudgetPublisher
from agents.changes import ChangeReader
from agents.kafka.clients import create_consumer, create_producer
from agents.kafka.topic_reader import TopicReader
from agents.metrics import ChangesMetrics, OrdersMetrics, WebMetrics
from agents.orders import OrderReader
from agents.probes import Readiness, add_probes, check_listen, create_registry, start_server
from agents.process import run_until_stopped
from agents.settings import Settings
from agents.storage.database import open_database
from agents.web.api import Api
from agents.web.budgets_in_force import BudgetsInForce
from agents.web.changes import ChangeLog, ChangesApi
from agents.web.history.dead_letters import DeadLetters
from agents.web.history.projection import Projection
from agents.web.history.reader import HistoryReader
from agents.web.history.writer import HistoryWriter
from agents.web.openapi import openapi_document
from agents.web.overview import OverviewSource
from agents.web.page import Problems, StatusPage
from agents.web.problems import problem_middleware

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


async def _protect(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def create_app(
    settings: Settings,
    engine: AsyncEngine,
    budgets: BudgetsInForce,
    changes: ChangesApi,
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
    changes.add_routes(app)
    StatusPage(settings, overview, reader, problems).add_routes(app)
    description = msgspec.json.encode(openapi_document(version("driftline")))

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    app.router.add_get("/api/openapi.json", openapi)
    return app


async def _follow(topic: TopicReader) -> None:
    """Follow a topic as soon as Kafka lets us; the history is served meanwhile."""
    while True:
        try:
            await topic.start()
        except TimeoutError:
            continue  # its `problem` says why
        await asyncio.Event().wait()


async def run_web(settings: Settings, publisher: BudgetPublisher | None = None) -> None:
    """Run until SIGTERM.

    Args:
        publisher: the publisher of budget files if it runs beside us; whoever made it runs it.

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
    change_log = ChangeLog()
    changes = ChangeReader(settings, change_log.on_change, ChangesMetrics(registry))
    engine = await open_database(settings.database())
    projection = Projection(
        settings,
        HistoryWriter(engine, settings.kafka.log_id),
        metrics,
        lambda: create_consumer(settings.kafka, "driftline-web"),
        DeadLetters(settings, lambda: create_producer(settings.kafka, "driftline-web"), metrics),
    )

    if publisher is not None:
        publisher.register(registry)

    def own_problems() -> Problems:
        parts = {"history": projection.problem, "orders": orders.problem, "changes": changes.problem}
        if publisher is not None:
            parts["budget files"] = publisher.problem
        return {name: text for name, text in parts.items() if text}

    def problems() -> Problems:
        return {**own_problems(), **(publisher.problems if publisher is not None else {})}

    def ready() -> str | None:
        return "; ".join(own_problems().values()) or None

    changes_api = ChangesApi(settings, change_log)
    app = create_app(settings, engine, budgets, changes_api, access, registry, metrics, ready, problems)
    server = await start_server(app, settings.web.listen, ssl_context=access.ssl_context)
    try:
        await _run_parts(projection, orders, changes)
    finally:
        await server.cleanup()
        await changes.stop()
        await orders.stop()
        await engine.dispose()


async def _run_parts(projection: Projection, *topics: TopicReader) -> None:
    """Until SIGTERM, or until one of them fails."""
    parts = [
        asyncio.create_task(projection.run(), name="history projection"),
        *(asyncio.create_task(_follow(topic), name="a topic") for topic in topics),
    ]
    try:
        await run_until_stopped(*parts)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)

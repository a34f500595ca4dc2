"""The worker role: samples -> indicators -> verdicts -> alert events, a Faust application.

Wiring only, in reading order: `rewind.py` (where to start reading), `partition.py` (the core of one
partition), `recovery.py` (how a partition comes back), `snapshots.py`, `publish.py` (what leaves),
`agent.py` (the loop over records).
"""

import asyncio

import structlog
from aiohttp import web

from agents.changes import ChangeReader
from agents.kafka.clients import create_producer
from agents.kafka.topics import SAMPLES
from agents.metrics import ChangesMetrics, OrdersMetrics, WorkerMetrics
from agents.orders import OrderReader
from agents.probes import add_probes, check_listen, create_registry, start_server
from agents.process import collect_cycles_rarely, run_until_stopped
from agents.settings import Settings
from agents.worker.agent import SamplesAgent, create_app
from agents.worker.publish import Publisher

log = structlog.get_logger()


async def run_worker(settings: Settings) -> None:
    """Run until SIGTERM.

    Raises:
        SettingsError: the operator's mistake.
        KafkaError: the log was not reachable at the start.
    """
    check_listen(settings.worker.listen, authenticated=False, insecure_listen=settings.worker.insecure_listen)
    collect_cycles_rarely()
    registry = create_registry()
    metrics = WorkerMetrics(registry)
    metrics.evaluation_delay_seconds.set(settings.evaluation_delay / 1000)
    publisher = Publisher(settings, lambda: create_producer(settings.kafka, "driftline-worker"))
    agent = SamplesAgent(settings, publisher, metrics)
    orders = OrderReader(settings, agent.on_order, OrdersMetrics(registry))
    changes = ChangeReader(settings, agent.on_change, ChangesMetrics(registry))
    probes = web.Application()
    # Without records there is nothing to publish: that Kafka is away shows in the orders first.
    add_probes(probes, registry, lambda: agent.not_ready() or orders.problem or changes.problem)
    server = await start_server(probes, settings.worker.listen)
    try:
        await publisher.start()
        agent.partition_count = await publisher.partition_count(settings.topic(SAMPLES.name))
        await orders.start()
        await changes.start()
        app = create_app(settings, agent)
        await app.start()
        try:
            await run_until_stopped(asyncio.create_task(agent.keep_ticking(), name="ticks"))
        finally:
            await app.stop()
    finally:
        await changes.stop()
        await orders.stop()
        await publisher.stop()
        await server.cleanup()

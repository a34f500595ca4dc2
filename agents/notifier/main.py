"""The notifier role: alert events -> receivers. Wiring only; the reading order stands in the package's docstring."""

import asyncio
import random
from contextlib import suppress

from aiohttp import web

from agents.kafka.clients import create_consumer, create_producer
from agents.kafka.topics import ALERTS
from agents.metrics import NotifierMetrics
from agents.notifier.backoff import Backoff
from agents.notifier.dead_letters import DeadLetters
from agents.notifier.delivery import DeliveryQueue
from agents.notifier.intake import Intake
from agents.notifier.receivers.create import create_receivers
from agents.notifier.watch import Watch
from agents.probes import add_probes, check_listen, create_registry, start_server
from agents.process import run_until_stopped
from agents.settings import Settings
from agents.storage.database import open_database
from agents.storage.exclusive import ExclusiveNames


async def run_notifier(settings: Settings) -> None:
    """Run until SIGTERM. Kafka may come later than we do; the database must be there.

    Raises:
        SettingsError: the operator's mistake.
        SQLAlchemyError: the database cannot be opened.
    """
    notifier = settings.notifier
    check_listen(notifier.listen, authenticated=False, insecure_listen=notifier.insecure_listen)
    registry = create_registry()
    metrics = NotifierMetrics(registry)
    receivers = create_receivers(notifier)
    engine = await open_database(settings.database())
    names = ExclusiveNames(engine)
    dead_letters = DeadLetters(settings, lambda: create_producer(settings.kafka, "driftline-notifier", linger_ms=0))
    backoff = Backoff(notifier.retry_initial, notifier.retry_max, random.random)
    queues = {
        options.name: DeliveryQueue(receiver, options.max_age, engine, names, dead_letters, metrics, backoff)
        for options, receiver in zip(notifier.receivers, receivers, strict=True)
    }
    intake = Intake(
        settings.topic(ALERTS.name),
        lambda: create_consumer(settings.kafka, "driftline-notifier", settings.topic("notifier")),
        notifier.receivers,
        engine,
        dead_letters,
        metrics,
        wake=lambda name: queues[name].wake(),
    )
    watch = Watch(engine, intake, queues, metrics)

    def not_ready() -> str | None:
        problems = (watch.problem, intake.problem, *(queue.problem for queue in queues.values()))
        return next((problem for problem in problems if problem), None)

    probes = web.Application()
    add_probes(probes, registry, not_ready)
    server = await start_server(probes, notifier.listen)
    watching = asyncio.create_task(watch.run(), name="watch")
    try:
        await run_until_stopped(intake.start(), watching, *(queue.start() for queue in queues.values()))
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await asyncio.gather(intake.stop(), *(queue.stop() for queue in queues.values()))
        await dead_letters.stop()
        await names.release()
        await engine.dispose()
        await server.cleanup()

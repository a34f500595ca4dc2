"""The ingest role: remote write -> samples topic. Wiring only."""

import asyncio
import time

import structlog
from aiohttp import web
from aiokafka.errors import KafkaError

from agents.access import load_access
from agents.ingest.elections import Elections
from agents.ingest.endpoint import PATH, Endpoint
from agents.ingest.known_requests import KnownRequests
from agents.ingest.known_series import KnownSeries
from agents.ingest.pairs import HaLabels
from agents.ingest.replica_log import ReplicaLog
from agents.ingest.routes import Routes
from agents.ingest.sample_log import SampleLog
from agents.ingest.sorting import Sorter
from agents.kafka.clients import create_producer
from agents.kafka.topics import SAMPLES
from agents.metrics import IngestMetrics, OrdersMetrics
from agents.orders import OrderReader
from agents.probes import add_probes, check_listen, create_registry, start_server
from agents.process import collect_cycles_rarely, run_until_stopped
from agents.settings import IngestSettings, Settings
from budgets.order import Order
from budgets.spec.resolve import budget_of_order
from streams.wire.limits import WireLimits
from streams.wire.symbols import SeriesMemory

log = structlog.get_logger()

# What a label section takes on average, with room to spare: bounds the cache in bytes as its setting does in number.
BYTES_PER_BLOB = 512
# Series that nobody wrote for one to two of these make room for new ones; one that comes more rarely is read again each
# time. Half an hour was too long: with a tenth replaced every five minutes, the cache held 2.2 times the live series.
IDLE_SECONDS = 600
RETRY_SECONDS = 1.0


class Budgets:
    """Takes budget orders into the routes; `loaded` once every order that there was has been read."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self.loaded = False

    def on_order(self, subject: str, order: Order | None) -> None:
        """Take one order; other subjects are not ingest's business."""
        kind, _, service = subject.partition("/")
        if kind == "budget":
            budget = budget_of_order(order) if order is not None else None
            self._routes.define(service, budget, order.effective_at if order is not None else 0)

    async def follow(self, orders: OrderReader) -> None:
        """Read the orders as soon as Kafka is there; from then on they come by themselves."""
        while not self.loaded:
            try:
                await orders.start()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("budgets cannot be read, trying again", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.loaded = True
        await asyncio.Event().wait()


def limits_of(settings: IngestSettings) -> WireLimits:
    """The limits of one request."""
    return WireLimits(
        max_decoded_bytes=settings.max_decoded_bytes,
        max_series=settings.max_series_per_request,
        max_labels=settings.max_labels_per_series,
        max_label_bytes=settings.max_label_bytes,
    )


async def keep_house(
    routes: Routes,
    known: KnownSeries,
    requests: KnownRequests,
    memory: SeriesMemory,
    sample_log: SampleLog,
    metrics: IngestMetrics,
) -> None:
    """Forget what is over, and show how full we are."""
    aged_at = time.monotonic()
    while True:
        await asyncio.sleep(1)
        routes.expire(round(time.time() * 1000))
        if time.monotonic() - aged_at > IDLE_SECONDS:
            aged_at = time.monotonic()
            known.age()
            memory.age()
        metrics.known_series.set(len(known))
        metrics.needed_series.set(known.needed)
        metrics.remembered_bytes.set(requests.byte_count)
        metrics.pending_bytes.set(sample_log.pending_bytes)


async def run_ingest(settings: Settings) -> None:
    """Run until SIGTERM.

    Raises:
        SettingsError: the operator's mistake.
    """
    own = settings.ingest
    collect_cycles_rarely()
    access = load_access(own.web_config_file)
    check_listen(own.listen, authenticated=access.authenticated, insecure_listen=own.insecure_listen)
    registry = create_registry()
    metrics = IngestMetrics(registry)
    routes = Routes()
    known = KnownSeries(own.max_cached_blobs, own.max_cached_blobs * BYTES_PER_BLOB)
    memory = SeriesMemory(own.max_cached_blobs * BYTES_PER_BLOB)
    sample_log = SampleLog(
        settings.topic(SAMPLES.name),
        lambda: create_producer(settings.kafka, "driftline-ingest"),
        metrics,
        own.max_pending_bytes,
    )
    budgets = Budgets(routes)
    orders = OrderReader(settings, budgets.on_order, OrdersMetrics(registry))

    def not_ready() -> str | None:
        return sample_log.problem or (None if budgets.loaded else "budgets are being read")

    elections = Elections(own.ha.failover_timeout, lambda: time.monotonic() * 1000)
    replicas = ReplicaLog(settings, elections, metrics)
    ha_labels = HaLabels(own.ha.cluster_label, own.ha.replica_label)
    requests = KnownRequests(known, memory, own.max_remembered_bytes)
    sorter = Sorter(routes, known, requests, memory, limits_of(own), own.max_series, ha_labels, elections)
    endpoint = Endpoint(sorter, sample_log, replicas, metrics, own.max_body_bytes, not_ready)
    app = web.Application(middlewares=[access.middleware()], client_max_size=own.max_body_bytes)
    app.router.add_post(PATH, endpoint.handle)
    add_probes(app, registry, not_ready)
    # Bodies come to us as they were sent: a zstd one must get its 415, not an error of the HTTP parser.
    server = await start_server(app, own.listen, ssl_context=access.ssl_context, auto_decompress=False)
    writing = asyncio.create_task(sample_log.run(), name="samples")
    others = [
        asyncio.create_task(budgets.follow(orders), name="budgets"),
        asyncio.create_task(replicas.run(), name="replicas"),
        asyncio.create_task(keep_house(routes, known, requests, memory, sample_log, metrics), name="house"),
    ]
    try:
        await run_until_stopped(writing, *others)
    finally:
        await server.cleanup()  # requests under way are answered first
        for task in (*others, writing):
            task.cancel()
        await asyncio.gather(*others, writing, return_exceptions=True)
        await orders.stop()

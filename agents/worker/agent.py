"""The loop over records: what Faust hands us, partition by partition, in order.

Concurrency is one and every exception is handled here: Faust acknowledges a record whose agent raised, so an
error that escaped would lose it. A record that cannot be read goes to the dead-letter topic; anything else
that goes wrong is our bug and ends the process, which comes back from the log.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Protocol

import faust
import structlog
from faust.types import TP, EventT, StreamT

from agents.kafka.codecs import dead_letter_headers
from agents.kafka.partitions import partition_of
from agents.kafka.topics import DEAD_LETTER, JUDGE_CHANGELOG, SAMPLES
from agents.metrics import WorkerMetrics
from agents.settings import Settings
from agents.worker.block import Block
from agents.worker.partition import BudgetVersion, Partition
from agents.worker.publish import Publisher
from agents.worker.recovery import earliest_offsets, recover
from agents.worker.rewind import install_rewind
from agents.worker.snapshots import write_snapshot
from budgets.change import Change
from budgets.change_history import MOST_WAITING
from budgets.judge import Judge
from budgets.order import Order
from budgets.spec.resolve import budget_of_order
from streams.meter import Meter, Observed
from streams.series.lateness import DelayAdvice, Lateness
from streams.series.store import Ceilings

log = structlog.get_logger()

# A few bad records are somebody's mistake; many in a row are ours.
MAX_DEAD_LETTERS_IN_A_ROW = 100
# A record that is older was waiting for us: more of them are to be read at once.
BEHIND_SECONDS = 2.0
# More than Faust can have fetched ahead: what is expected does not come.
MAX_STRAYS = 1000
# Records can be large: bounds what waits in memory, once as fetched and once on its way to the agent.
_BUFFERED_RECORDS = 64
# A partition without records for this long gets a tick from us, if its log is live at all: a log
# that somebody fills with the past (time-lapse, a replay) must not be told that it is now.
SILENT_SECONDS = 3.0
LIVE_WITHIN_SECONDS = 600.0
_NEVER_SECONDS = 10 * 365 * 86_400.0


class _Message(Protocol):
    """The part of a Faust message that is used here."""

    tp: TP
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] | list[tuple[str, bytes]] | None


def create_meter(settings: Settings, others: Callable[[], Iterable[Partition]] = tuple) -> Meter:
    """A partition's Meter; what `others` hold takes the room of the same ceilings."""
    worker = settings.worker
    ceilings = Ceilings(
        worker.max_series,
        worker.max_series_per_service,
        worker.max_window_bytes,
        series_elsewhere=lambda: sum(held.series for held in others()),
        bytes_elsewhere=lambda: sum(held.window_bytes for held in others()),
    )
    return Meter(settings.step, settings.evaluation_delay, ceilings, worker.out_of_order_window)


class SamplesAgent:
    """Owns the partitions that this worker holds; everything that it does starts from a record or an order."""

    def __init__(self, settings: Settings, publisher: Publisher, metrics: WorkerMetrics) -> None:
        self._settings = settings
        self._publisher = publisher
        self._metrics = metrics
        self._samples_topic = settings.topic(SAMPLES.name)
        self._partitions: dict[int, Partition] = {}
        self._blocks: defaultdict[int, Block[_Message]] = defaultdict(Block)
        self._versions: list[BudgetVersion] = []
        self._changes: defaultdict[str, deque[Change]] = defaultdict(lambda: deque(maxlen=MOST_WAITING))
        self._snapshots: dict[int, tuple[int, float]] = {}  # partition -> slot to write next, when it was last written
        self._last_record_at: dict[int, float] = {}
        self._strays: dict[int, tuple[int, int]] = {}  # partition -> cursor, records beyond it that came instead
        self._failures: dict[int, dict[str, str]] = {}  # partition -> indicator -> reason, as of its latest step
        self._dead_letters_in_a_row = 0
        self._delay_advice = DelayAdvice()
        self._failure: BaseException | None = None
        self._assigned = False
        self._recovering = asyncio.Lock()  # Faust may ask for positions twice at a time
        self.partition_count = settings.kafka.partitions
        self.table: MutableMapping[bytes, bytes] = {}
        self.app: faust.App | None = None

    def on_order(self, subject: str, order: Order | None) -> None:
        """Take a budget order: its service is watched, or not any more, from its step on."""
        kind, _, service = subject.partition("/")
        if kind != "budget":
            return
        effective_at_ms = order.effective_at if order else 0
        budget = budget_of_order(order) if order is not None and order.document is not None else None
        version = BudgetVersion(service, budget, effective_at_ms)
        self._versions.append(version)
        partition = self._partitions.get(partition_of(service, self.partition_count))
        if partition is not None:
            partition.define(version)

    def on_change(self, change: Change) -> None:
        """Take a change of a service: whoever judges it names it beside what follows."""
        self._changes[change.service].append(change)
        partition = self._partitions.get(partition_of(change.service, self.partition_count))
        if partition is not None:
            partition.note(change)

    async def find_positions(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Recover the partitions that were gained, forget the lost ones, go on with the held ones."""
        numbers = {tp.partition for tp in assigned if tp.topic == self._samples_topic}
        async with self._recovering:
            for lost in set(self._partitions) - numbers:
                del self._partitions[lost]
                self._blocks.pop(lost, None)
                self._snapshots.pop(lost, None)
                self._last_record_at.pop(lost, None)
                self._failures.pop(lost, None)
            started = time.monotonic()
            if gained := sorted(numbers - set(self._partitions)):
                await self._recover(gained)
            self._metrics.recovery_seconds.set(time.monotonic() - started)
            self._assigned = True
            return {TP(self._samples_topic, number): self._partitions[number].cursor for number in numbers}

    async def _recover(self, numbers: Sequence[int]) -> None:
        partitions, known = [self._create_partition(number) for number in numbers], len(self._versions)
        await recover(self._settings, partitions, self.table)
        for partition in partitions:
            self._define(partition, self._versions[known:])  # orders that came meanwhile
            self._note_changes(partition)
            self._partitions[partition.number] = partition
            self._snapshots[partition.number] = (0, time.monotonic())

    def _create_partition(self, number: int) -> Partition:
        settings = self._settings
        partition = Partition(
            number,
            cursor=0,
            create_meter=lambda: create_meter(settings, lambda: self._others(number)),
            create_judge=lambda: Judge(settings.step),
        )
        self._define(partition, self._versions)
        self._note_changes(partition)
        return partition

    def _note_changes(self, partition: Partition) -> None:
        for service, changes in self._changes.items():
            if partition_of(service, self.partition_count) == partition.number:
                for change in changes:
                    partition.note(change)

    def _others(self, number: int) -> tuple[Partition, ...]:
        return tuple(held for held in self._partitions.values() if held.number != number)

    def _define(self, partition: Partition, versions: Iterable[BudgetVersion]) -> None:
        for version in versions:
            if partition_of(version.service, self.partition_count) == partition.number:
                partition.define(version)

    async def consume(self, stream: StreamT[bytes]) -> None:
        """The agent: one record after the other until the process ends."""
        events: AsyncIterator[EventT[bytes]] = stream.events()
        async for event in events:
            if self._failure is not None:
                continue
            try:
                await self._handle(event.message)
            except Exception as error:  # noqa: BLE001  the agent loop: what gets here is our bug, and ends the role
                self._failure = error

    async def _handle(self, message: _Message) -> None:
        number = message.tp.partition
        partition = self._partitions.get(number)
        if partition is None or message.offset < partition.cursor:
            return  # of an assignment that is over, or seen before the last rebalance
        if message.offset > partition.cursor and not await self._was_cut(partition, message.offset):
            return
        partition.cursor = message.offset + 1
        self._last_record_at[number] = time.monotonic()
        log_time_ms = round(message.timestamp * 1000)
        is_behind = time.time() - log_time_ms / 1000 > BEHIND_SECONDS
        if partition.is_step_due(log_time_ms) or self._blocks[number].is_due(log_time_ms, is_behind=is_behind):
            await self._observe(partition)
        steps = partition.close_steps(log_time_ms)
        for step in steps:
            started = time.perf_counter()
            await self._publisher.publish(number, step)
            self._metrics.steps.inc()
            self._metrics.step_seconds.observe(time.perf_counter() - started)
            self._metrics.step_delay_seconds.observe(
                max(0.0, time.time() - (step.frame.at + self._settings.evaluation_delay) / 1000)
            )
            for alert in step.events:
                self._metrics.events.labels(alert.transition).inc()
        if steps:
            self._tell_failures(partition)
        if message.value:
            self._blocks[number].put(message, partition.log_time_ms)
        if steps:
            await self._snapshot_if_due(partition, steps[-1].frame.at)

    def _tell_failures(self, partition: Partition) -> None:
        """Say it when an indicator begins to have no value though it has data: its expression does not fit them."""
        failures = partition.failures
        for indicator, reason in failures.items():
            if reason != self._failures.get(partition.number, {}).get(indicator):
                log.warning("an indicator cannot be computed", indicator=indicator, reason=reason)
        self._failures[partition.number] = failures
        self._metrics.failing_indicators.set(sum(map(len, self._failures.values())))

    async def _observe(self, partition: Partition) -> None:
        """Take the records that wait into the windows."""
        for message, observed in self._blocks[partition.number].take_into(partition):
            if isinstance(observed, Observed):
                self._count(observed)
                self._advise(observed.lateness, round(message.timestamp * 1000))
            else:
                await self._set_aside(message, str(observed))

    def _count(self, observed: Observed) -> None:
        self._dead_letters_in_a_row = 0
        self._metrics.samples.inc(observed.samples)
        for reason, count in observed.dropped.items():
            self._metrics.dropped.labels(reason).inc(count)
        for reason, count in observed.late.items():
            self._metrics.late.labels(reason).inc(count)
        self._metrics.lateness.add(observed.lateness)

    def _advise(self, lateness: Lateness, log_time_ms: int) -> None:
        """Say which evaluation_delay the measured lateness asks for, whenever that changes.

        Said and not done: workers that measure different things would close one step differently (decision 12).
        """
        advice, before_ms = self._delay_advice, self._delay_advice.delay_ms
        advice.observe(lateness, log_time_ms)
        if advice.delay_ms is None or advice.delay_ms == before_ms:
            return
        self._metrics.advised_delay_seconds.set(advice.delay_ms / 1000)
        log.info(
            "lateness measured",
            advised_evaluation_delay_seconds=advice.delay_ms / 1000,
            evaluation_delay_seconds=self._settings.evaluation_delay / 1000,
        )

    async def _set_aside(self, message: _Message, reason: str) -> None:
        self._dead_letters_in_a_row += 1
        self._metrics.dead_letters.inc()
        log.warning("record set aside", partition=message.tp.partition, offset=message.offset, reason=reason)
        await self._publisher.send(
            self._settings.topic(DEAD_LETTER.name),
            message.value,
            key=message.key,
            headers=tuple(dead_letter_headers(message.tp.topic, message.tp.partition, message.offset, reason)),
            timestamp_ms=round(message.timestamp * 1000),
        )
        if self._dead_letters_in_a_row > MAX_DEAD_LETTERS_IN_A_ROW:
            raise RuntimeError(f"{self._dead_letters_in_a_row} unreadable records in a row: {reason}")

    async def _was_cut(self, partition: Partition, offset: int) -> bool:
        """Why a record lies beyond the cursor: the log was cut (it is the next one there is), or it is a stray.

        Strays were fetched before Faust was told where to read; they come again in their turn.
        """
        cursor, strays = self._strays.get(partition.number, (-1, 0))
        if cursor != partition.cursor:
            strays = 0
            earliest = (await earliest_offsets(self._settings, [partition.number]))[partition.number]
            if partition.cursor < earliest:
                log.error(
                    "the log was cut before it was read",
                    partition=partition.number,
                    expected=partition.cursor,
                    found=offset,
                )
                return True
        if strays > MAX_STRAYS:
            raise RuntimeError(f"partition {partition.number}: expected offset {partition.cursor}, got {offset}")
        self._strays[partition.number] = (partition.cursor, strays + 1)
        return False

    async def _snapshot_if_due(self, partition: Partition, step_ms: int) -> None:
        slot, written_at = self._snapshots.get(partition.number, (0, 0.0))
        if time.monotonic() - written_at < self._settings.worker.snapshot_every / 1000:
            return
        await self._publisher.flush()  # a snapshot must not be ahead of the published frames
        write_snapshot(self.table, partition.number, slot, step_ms, partition.snapshot())
        self._snapshots[partition.number] = (1 - slot, time.monotonic())

    def not_ready(self) -> str | None:
        """Why this worker cannot do its work now."""
        if not self._assigned:
            return "waiting for partitions"
        return self._publisher.problem

    async def keep_ticking(self) -> None:
        """Tick silent partitions so that missing data is noticed, show how full we are, end when the agent failed.

        Raises:
            RuntimeError: the agent failed.
        """
        while self._failure is None:
            await asyncio.sleep(1)
            self._metrics.series.set(sum(held.series for held in self._partitions.values()))
            self._metrics.window_bytes.set(sum(held.window_bytes for held in self._partitions.values()))
            now = time.monotonic()
            for number, partition in list(self._partitions.items()):
                silent = now - self._last_record_at.get(number, now) > SILENT_SECONDS
                if silent and time.time() - partition.log_time_ms / 1000 < LIVE_WITHIN_SECONDS and self.app is not None:
                    self._last_record_at[number] = now
                    await self.app.producer.send(self._samples_topic, b"", b"", number, None, None)
        raise RuntimeError("the worker's agent failed") from self._failure


def create_app(settings: Settings, agent: SamplesAgent) -> faust.App:
    """The Faust application around the agent; the reason for each setting stands in `docs/architecture.md`."""
    session_seconds = settings.worker.session_timeout / 1000
    app = faust.App(
        settings.topic("worker"),
        broker=[f"kafka://{address}" for address in settings.kafka.bootstrap.split(",")],
        autodiscover=False,
        web_enabled=False,
        store="memory://",
        broker_session_timeout=session_seconds,
        broker_heartbeat_interval=session_seconds / 4,
        broker_commit_interval=1.0,
        broker_max_poll_interval=600.0,
        consumer_group_instance_id=settings.worker.instance_id or None,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2 << 20,
        broker_max_poll_records=_BUFFERED_RECORDS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=agent.partition_count,
        stream_wait_empty=False,
        stream_processing_timeout=_NEVER_SECONDS,
        stream_buffer_maxsize=_BUFFERED_RECORDS,
        table_standby_replicas=1,  # with 0, Faust assigns round robin and every rebalance moves everything
        key_serializer="raw",
        value_serializer="raw",
        producer_compression_type="zstd",
    )
    install_rewind(app, settings.topic(SAMPLES.name), agent.find_positions)
    agent.app = app
    agent.table = app.Table(
        "judge",
        partitions=agent.partition_count,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=app.topic(
            settings.topic(JUDGE_CHANGELOG.name),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            compacting=True,
        ),
    )
    samples = app.topic(settings.topic(SAMPLES.name), key_type=bytes, value_type=bytes)
    app.agent(samples, name="samples", concurrency=1)(agent.consume)
    return app

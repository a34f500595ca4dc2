"""The alert about budget files that cannot be used: one alert of Driftline about itself.

Read from and written to the log like every other alert, so that a restart goes on with it and several publishers
raise it once.
"""

import asyncio
import time
from collections.abc import Mapping

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.kafka.clients import create_consumer, create_producer, read_to_end
from agents.kafka.codecs import decode_alert, encode_alert
from agents.kafka.partitions import partition_of
from agents.kafka.topics import ALERT_STATE, ALERTS
from agents.settings import Settings
from budgets.event import (
    AlertEvent,
    Annotations,
    Evidence,
    Transition,
    episode_of,
    event_id_of,
    fingerprint_of,
    format_time,
    parse_time,
)

SERVICE = "driftline"
INDICATOR = "budget_files"
FINGERPRINT = fingerprint_of("budget", SERVICE, INDICATOR, {"service": SERVICE})
ANSWER_SECONDS = 30.0
# What a chat message still shows.
DESCRIPTION_CHARACTERS = 2_000


def create_event(transition: Transition, problems: Mapping[str, str], at_ms: int, starts_at_ms: int) -> AlertEvent:
    """The event of the alert. problems: the files that cannot be used now, with what is wrong in them."""
    episode = episode_of(FINGERPRINT, starts_at_ms)
    count = len(problems)
    firing = transition == "firing"
    if firing:
        files = f"{count} budget file{'s' if count > 1 else ''}"
        summary = f"{files} cannot be used: the budgets before stay in force"
    else:
        summary = "All budget files can be used again"
    return AlertEvent(
        id=event_id_of(FINGERPRINT, episode, transition, at_ms),
        fingerprint=FINGERPRINT,
        episode=episode,
        kind="budget",
        transition=transition,
        status="firing" if firing else "resolved",
        severity="warning",
        service=SERVICE,
        indicator=INDICATOR,
        incident=episode,
        labels={"service": SERVICE},
        unit="files",
        value=float(count),
        threshold=0.0,
        direction="above",
        evidence=Evidence(onset=format_time(starts_at_ms), methods=("budget_files",)),
        starts_at=format_time(starts_at_ms),
        at=format_time(at_ms),
        ends_at=None if firing else format_time(at_ms),
        annotations=Annotations(summary, "\n".join(problems.values())[:DESCRIPTION_CHARACTERS]),
    )


class BudgetFilesAlert:
    """Brings the alert's state on the log in line with the files."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last_ms = 0

    async def update(self, problems: Mapping[str, str]) -> AlertEvent | None:
        """Publish what has changed, if anything, and return it.

        Raises:
            KafkaError, TimeoutError: the log cannot be read or written now; may be called again.
        """
        producer = create_producer(self._settings.kafka, "driftline-budget-files")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await producer.start()
                partitions = len(await producer.partitions_for(self._settings.topic(ALERT_STATE.name)))
                open_event = await self._read_state(partition_of(FINGERPRINT, partitions))
                if bool(problems) == (open_event is not None):
                    return None
                # One transition a step: the step is part of the id.
                step_ms = self._settings.step
                self._last_ms = max(int(time.time() * 1000) // step_ms * step_ms, self._last_ms + step_ms)
                starts_at_ms = parse_time(open_event.starts_at) if open_event is not None else self._last_ms
                event = create_event("firing" if problems else "resolved", problems, self._last_ms, starts_at_ms)
                await self._publish(producer, event)
                return event
        finally:
            await producer.stop()

    async def _read_state(self, partition: int) -> AlertEvent | None:
        """The alert as it is open on the log, None = it is not."""
        place = TopicPartition(self._settings.topic(ALERT_STATE.name), partition)
        consumer = create_consumer(self._settings.kafka, "driftline-budget-files")
        latest: AlertEvent | None = None
        try:
            await consumer.start()
            async for record in read_to_end(consumer, place):
                if record.key != FINGERPRINT.encode():
                    continue
                try:
                    latest = decode_alert(record) if record.value is not None else None
                except msgspec.DecodeError:
                    latest = None  # of another version: raised anew
        finally:
            await consumer.stop()
        if latest is not None:
            self._last_ms = max(self._last_ms, parse_time(latest.at))
        return latest

    async def _publish(self, producer: AIOKafkaProducer, event: AlertEvent) -> None:
        record = encode_alert(event)
        at_ms = parse_time(event.at)
        await producer.send_and_wait(
            self._settings.topic(ALERTS.name),
            record.value,
            key=record.key,
            headers=list(record.headers),
            timestamp_ms=at_ms,
        )
        state = None if event.status == "resolved" else record.value
        await producer.send_and_wait(self._settings.topic(ALERT_STATE.name), state, key=record.key, timestamp_ms=at_ms)

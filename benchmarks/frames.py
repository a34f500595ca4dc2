"""A subscriber of the indicators topic: when each step's frame arrived, by partition."""

import time
from dataclasses import dataclass, field

from agents.kafka.clients import create_consumer, find_partitions
from agents.kafka.topics import INDICATORS
from agents.settings import Settings
from streams.frame import IndicatorFrame, decode_frame


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame. at: Unix seconds when the subscriber held it. value: as it stands on the topic."""

    partition: int
    at: float
    value: bytes

    @property
    def frame(self) -> IndicatorFrame:
        """The frame itself."""
        return decode_frame(self.value)


@dataclass
class Frames:
    """Every frame that has arrived."""

    settings: Settings
    arrivals: list[Arrival] = field(default_factory=list)

    async def follow(self) -> None:
        """Subscribe, until cancelled."""
        consumer = create_consumer(self.settings.kafka, "driftline-benchmark")
        await consumer.start()
        try:
            consumer.assign(sorted(await find_partitions(consumer, self.settings.topic(INDICATORS.name))))
            await consumer.seek_to_beginning()
            while True:
                batches = await consumer.getmany(timeout_ms=1000)
                now = time.time()
                self.arrivals += [
                    Arrival(partition.partition, now, record.value)
                    for partition, records in batches.items()
                    for record in records
                ]
        finally:
            await consumer.stop()

    def delays(self) -> list[tuple[float, float]]:
        """For each frame when it arrived, and how many seconds after its step closed.

        A step closes when the log passes it by `evaluation_delay`: that is when `Meter.advance` computes it.
        """
        delay_ms = self.settings.evaluation_delay
        return [(arrival.at, arrival.at - (arrival.frame.at + delay_ms) / 1000) for arrival in self.arrivals]

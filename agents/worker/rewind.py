"""Faust's aiokafka transport with one change: where to start reading is ours to say.

Windows are never stored: a worker that gains a partition reads the log again from where the longest window
starts. Faust seeks every assigned partition to its committed offset after a rebalance and after table
recovery, and undoes any seek made earlier; `Consumer.perform_seek` is the last thing that it does, so that is
where we come in. It may run again at any time: the agent drops what it has seen.

This file reaches into Faust's private parts; nothing else does. `pyproject.toml` pins the version for it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

# Which offset to read next, for each assigned partition that we care about.
FindPositions = Callable[[frozenset[TP]], Awaitable[Mapping[TP, int]]]


# The embedded broker answers an idle fetch only when this has passed, and Faust's 1.5 s cannot be set.
FETCH_MAX_WAIT_MS = 100
# A broker waits that long for so much, and answers with what it has then: ten answers a second where it answered every
# batch of every partition. At 67,000 samples a second the answers were a third of the worker's CPU.
FETCH_MIN_BYTES = 1 << 20
# Of all partitions together, compressed. While a worker is behind, answers wait in memory.
FETCH_MAX_BYTES = 4 << 20


class _Thread(driver.AIOKafkaConsumerThread):
    """Fetches without a long wait, and not more often than is worth it. Faust has no settings for these."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001
        consumer._fetch_min_bytes = FETCH_MIN_BYTES  # noqa: SLF001
        consumer._fetch_max_bytes = FETCH_MAX_BYTES  # noqa: SLF001
        return consumer


class _Unread(dict[TP, int | None]):
    """What Faust believes to have read of each partition: nothing, so that it does not drop what we read again."""

    def __getitem__(self, tp: TP) -> int | None:
        return None


class _RewindConsumer(driver.Consumer):
    """Seeks to our positions after Faust has sought to its own, and lets nothing through before that.

    Faust resumes partitions a moment before it seeks, and seeks once more in the middle of a rebalance, while
    nothing flows and its tables are not restored yet.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Faust's own arguments, passed on
        super().__init__(*args, **kwargs)
        self._read_offset = _Unread()

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        ours = self._rewind
        super().resume_partitions({tp for tp in tps if ours.positioned or tp.topic != ours.topic})

    async def perform_seek(self) -> None:
        await super().perform_seek()
        ours = self._rewind
        if not (ours.tables_restored and self.flow_active):
            return
        positions = dict(await ours.find_positions(frozenset(self.assignment())))
        if positions:
            await self.seek_wait(positions)
        ours.positioned = True
        self.resume_partitions(positions)

    @property
    def _rewind(self) -> "Rewind":
        assert isinstance(self.transport, RewindTransport)
        return self.transport.rewind


@dataclass(slots=True)
class Rewind:
    """What is read from where, and whether it may be read yet.

    topic: its partitions wait for our positions. tables_restored: whether Faust's tables hold what belongs to the
    partitions of this assignment. positioned: whether it is read from where we want.
    """

    topic: str
    find_positions: FindPositions
    tables_restored: bool = False
    positioned: bool = False


class RewindTransport(driver.Transport):
    """The transport to set as `app.transport` before the first agent is declared."""

    Consumer: ClassVar[type[_RewindConsumer]] = _RewindConsumer
    rewind: Rewind


def install_rewind(app: faust.App, topic: str, find_positions: FindPositions) -> None:
    """Make `app` read `topic` from the positions that `find_positions` gives."""
    transport = RewindTransport(app.conf.broker_consumer, app, loop=None)
    rewind = transport.rewind = Rewind(topic, find_positions)
    app.transport = transport

    async def revoked(*_: object, **__: object) -> None:
        rewind.tables_restored = rewind.positioned = False

    async def restored(*_: object, **__: object) -> None:
        rewind.tables_restored = True

    # Kept by the application: Faust holds its signals' receivers weakly otherwise.
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_rebalance_complete.connect(restored, weak=False)

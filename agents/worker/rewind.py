"""Faust's aiokafka transport with one change: where to start reading is ours to say.

Windows are never stored: a worker that gains a partition reads the log again from where the longest window
starts. Faust seeks every assigned partition to its committed offset after a rebalance and after table
recovery, and undoes any seek made earlier; `Consumer.perform_seek` is the last thing that it does, so that is
where we come in. It may run again at any time: the agent drops what it has seen.

This file reaches into Faust's private parts; nothing else does. `pyproject.toml` pins the version for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

# Which offset to read next, for each assigned partition that we care about.
FindPositions = Callable[[frozenset[TP]], Awaitable[Mapping[TP, int]]]


# The embedded broker answers an idle fetch only when this has passed, and Faust's 1.5 s cannot be set.
FETCH_MAX_WAIT_MS = 100


class _Thread(driver.AIOKafkaConsumerThread):
    """Fetches without a long wait."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001
        return consumer


class _RewindConsumer(driver.Consumer):
    """Seeks to our positions after Faust has sought to its own."""

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        transport = self.transport
        assert isinstance(transport, RewindTransport)
        # Faust seeks also in the middle of a rebalance, when the tables are not restored yet.
        if not transport.tables_restored:
            return
        positions = dict(await transport.find_positions(frozenset(self.assignment())))
        if positions:
            await self.seek_wait(positions)
            # Faust drops what lies below the position that it believes to have read.
            self._read_offset.update({tp: offset or None for tp, offset in positions.items()})


class RewindTransport(driver.Transport):
    """The transport to set as `app.transport` before the first agent is declared.

    tables_restored: whether Faust's tables hold what belongs to the partitions of this assignment.
    """

    Consumer: ClassVar[type[_RewindConsumer]] = _RewindConsumer
    find_positions: FindPositions
    tables_restored: bool = False


def install_rewind(app: faust.App, find_positions: FindPositions) -> None:
    """Make `app` read from the positions that `find_positions` gives."""
    transport = RewindTransport(app.conf.broker_consumer, app, loop=None)
    transport.find_positions = find_positions
    app.transport = transport

    async def revoked(*_: object, **__: object) -> None:
        transport.tables_restored = False

    async def restored(*_: object, **__: object) -> None:
        transport.tables_restored = True

    # Kept by the application: Faust holds its signals' receivers weakly otherwise.
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_rebalance_complete.connect(restored, weak=False)

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
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

# Which offset to read next, for each assigned partition that we care about.
FindPositions = Callable[[frozenset[TP]], Awaitable[Mapping[TP, int]]]


class _RewindConsumer(driver.Consumer):
    """Seeks to our positions after Faust has sought to its own."""

    async def perform_seek(self) -> None:
        await super().perform_seek()
        transport = self.transport
        assert isinstance(transport, RewindTransport)
        positions = await transport.find_positions(frozenset(self.assignment()))
        if positions:
            await self.seek_wait(dict(positions))


class RewindTransport(driver.Transport):
    """The transport to set as `app.transport` before the first agent is declared."""

    Consumer: ClassVar[type[_RewindConsumer]] = _RewindConsumer
    find_positions: FindPositions


def install_rewind(app: faust.App, find_positions: FindPositions) -> None:
    """Make `app` read from the positions that `find_positions` gives."""
    transport = RewindTransport(app.conf.broker_consumer, app, loop=None)
    transport.find_positions = find_positions
    app.transport = transport

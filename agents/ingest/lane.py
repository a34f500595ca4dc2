"""One partition's way into Kafka: while one batch is on its way, the next one gathers.

Concurrent requests share batches, and parts for one service become one record: two WriteRequests, one after the
other, are a WriteRequest. Parts leave in the order in which they came.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.ingest.records import MAX_RECORD_BYTES

# How long a part waits for company: nothing beside the step of an indicator, several requests of a busy sender.
LINGER_SECONDS = 0.02
# A record costs its key, lengths and times besides.
_RECORD_BYTES = 64

Record = tuple[bytes, bytes]
Send = Callable[[int, list[Record]], Awaitable[None]]


class Ticket:
    """A request that waits until each of its parts is acknowledged."""

    def __init__(self, parts: int) -> None:
        self._left = parts
        self.failure: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        """One part is stored; after the last one the request is told so."""
        self._left -= 1
        if self._left == 0 and not self.failure.done():
            self.failure.set_result(None)

    def fail(self, reason: str) -> None:
        """A part is not known to be stored."""
        if not self.failure.done():
            self.failure.set_result(reason)


@dataclass(frozen=True, slots=True)
class Part:
    """What one request writes for one service."""

    service: bytes
    value: bytes
    ticket: Ticket

    @property
    def size(self) -> int:
        """Bytes in a batch, at most."""
        return len(self.value) + len(self.service) + _RECORD_BYTES


class Lane:
    """The parts of one partition that wait to be written."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._waiting: deque[Part] = deque()
        self._waiting_bytes = 0
        self._sending: list[Part] = []
        self._tick_due = False
        self._wake = asyncio.Event()

    def put(self, part: Part) -> None:
        """Write a part as soon as may be."""
        self._waiting.append(part)
        self._waiting_bytes += part.size
        self._wake.set()

    def tick(self) -> None:
        """Let the partition's log time advance, unless records are on their way that do it."""
        if not self._waiting and not self._sending:
            self._tick_due = True
            self._wake.set()

    async def run(self, send: Send) -> None:
        """Write what comes until cancelled.

        Raises:
            Exception: what `send` raised; the parts at hand stay until `fail`.
        """
        while True:
            await self._wake.wait()
            if self._waiting_bytes < MAX_RECORD_BYTES:
                await asyncio.sleep(LINGER_SECONDS)
            self._take()
            # An empty record only says what time it is.
            await send(self.partition, _merge(self._sending) or [(b"", b"")])
            for part in self._sending:
                part.ticket.acknowledge()
            self._sending = []
            if not self._waiting:
                self._wake.clear()

    def _take(self) -> None:
        self._tick_due = False
        room = MAX_RECORD_BYTES
        # The first one is taken whatever its size: it fits into a batch, or `sorting.py` had refused it.
        while self._waiting and (not self._sending or self._waiting[0].size <= room):
            part = self._waiting.popleft()
            room -= part.size
            self._waiting_bytes -= part.size
            self._sending.append(part)

    def fail(self, reason: str) -> None:
        """Tell every request that has a part here that it is not known to be stored."""
        for part in (*self._sending, *self._waiting):
            part.ticket.fail(reason)
        self._sending = []
        self._waiting.clear()
        self._waiting_bytes = 0
        self._wake.clear()


def _merge(parts: list[Part]) -> list[Record]:
    values: dict[bytes, list[bytes]] = {}
    for part in parts:
        values.setdefault(part.service, []).append(part.value)
    return [(service, pieces[0] if len(pieces) == 1 else b"".join(pieces)) for service, pieces in values.items()]

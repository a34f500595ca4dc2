"""An HTTP receiver for tests: keeps every delivery, answers as it is told, checks Standard Webhooks signatures."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request; header names are case-insensitive."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sink says to one request, after `delay_seconds`."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    delay_seconds: float = 0.0


class WebhookSink:
    """Listens on a port of its own between `start` and `stop`, which may be repeated: the port stays.

    answers: for the next requests, in order. then: for every request after them.
    """

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.answers: deque[Answer] = deque()
        self.then = Answer()
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Event()

    @property
    def url(self) -> str:
        """Where to post."""
        assert self._port, "not started yet"
        return f"http://127.0.0.1:{self._port}/hook"

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; the deliveries are kept."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def wait_for(self, count: int, seconds: float) -> None:
        """Return when `count` deliveries have arrived.

        Raises:
            TimeoutError: they have not, in time.
        """
        async with asyncio.timeout(seconds):
            while len(self.deliveries) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.deliveries.append(Delivery(request.path, request.headers, body, time.time()))
        self._arrived.set()
        answer = self.answers.popleft() if self.answers else self.then
        if answer.delay_seconds:
            await asyncio.sleep(answer.delay_seconds)
        return web.Response(status=answer.status, headers=answer.headers, text=answer.body)


def verify_signature(delivery: Delivery, secret: str) -> None:
    """Check a delivery as a Standard Webhooks consumer does.

    Args:
        secret: `whsec_` and base64.

    Raises:
        AssertionError: not signed with `secret`, or signed at another time.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    identity, timestamp = delivery.headers["webhook-id"], delivery.headers["webhook-timestamp"]
    signed = f"{identity}.{timestamp}.".encode() + delivery.body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = delivery.headers["webhook-signature"].split(" ")
    assert any(hmac.compare_digest(expected, signature) for signature in signatures), "wrong signature"
    assert abs(delivery.received_at - int(timestamp)) < 300, "signed at another time"

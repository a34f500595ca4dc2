"""What every receiver must do, whatever the other side does: one suite over real HTTP servers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from yarl import URL

from agents.notifier.receivers.posting import Poster, parse_url
from agents.notifier.receivers.receiver import Message, Outcome, Receiver
from agents.notifier.receivers.secret_text import SecretText
from agents.stack import free_port
from budgets.event import encode_event
from tests.servers.webhook_sink import Answer, WebhookSink
from tests.unit.alert_events import alert_event

EVENT = alert_event("firing", 1)
MESSAGE = Message(EVENT.id, encode_event(EVENT))
# In the path of every URL and as the body of every answer: must appear in nothing that we say.
SECRET = "T0SECRET/B0SECRET/hunter2"
NOW = 1_800_000_000.0

# Reads a request and does something that is not HTTP.
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x00\x01 nonsense " + SECRET.encode() + b"\r\n\r\n")


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def poster(*, allow_private_addresses: bool = True, total_seconds: float = 5.0) -> Poster:
    return Poster(
        allow_private_addresses=allow_private_addresses,
        clock=lambda: NOW,
        connect_seconds=2.0,
        total_seconds=total_seconds,
    )


class ReceiverSuite:
    """Subclasses say which receiver, and what it takes as a success."""

    success = Answer(200)

    def create(self, url: str, poster: Poster) -> Receiver:
        raise NotImplementedError

    @pytest.fixture
    async def sink(self) -> AsyncIterator[WebhookSink]:
        sink = WebhookSink()
        sink.then = self.success
        await sink.start()
        yield sink
        await sink.stop()

    async def send(self, base_url: str, poster_of_it: Poster | None = None) -> Outcome:
        """One attempt, of which neither the outcome nor a log line tells the secret."""
        receiver = self.create(f"{base_url}/{SECRET}", poster_of_it or poster())
        with capture_logs() as logs:
            outcome = await receiver.send(MESSAGE)
        await receiver.close()
        for said in (repr(outcome), repr(logs), repr(receiver), repr(vars(receiver))):
            assert "SECRET" not in said
            assert "hunter2" not in said
        return outcome

    async def answered(self, sink: WebhookSink, answer: Answer) -> Outcome:
        sink.then = answer
        outcome = await self.send(sink.url.removesuffix("/hook"))
        assert len(sink.deliveries) == 1, "one attempt is one request"
        return outcome

    async def test_a_success_is_a_delivery_to_the_whole_address(self, sink: WebhookSink) -> None:
        outcome = await self.answered(sink, self.success)
        assert (outcome.verdict, outcome.status, outcome.reason) == ("delivered", self.success.status, "")
        (delivery,) = sink.deliveries
        assert delivery.path == f"/{SECRET}"
        assert delivery.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
    async def test_what_the_receiver_refuses_is_not_repeated(self, sink: WebhookSink, status: int) -> None:
        outcome = await self.answered(sink, Answer(status, body=SECRET))
        assert (outcome.verdict, outcome.status) == ("refused", status)
        assert f"HTTP {status}" in outcome.reason

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    async def test_what_fails_there_is_repeated(self, sink: WebhookSink, status: int) -> None:
        outcome = await self.answered(sink, Answer(status, body=SECRET))
        assert (outcome.verdict, outcome.status, outcome.retry_after_ms) == ("retry", status, None)

    @pytest.mark.parametrize(
        ("header", "wait_ms"), [("17", 17_000), ("Fri, 15 Jan 2027 08:00:20 GMT", 20_000), ("whenever", None)]
    )
    async def test_too_many_requests_are_repeated_when_the_receiver_says(
        self, sink: WebhookSink, header: str, wait_ms: int | None
    ) -> None:
        outcome = await self.answered(sink, Answer(429, {"Retry-After": header}))
        assert (outcome.verdict, outcome.retry_after_ms) == ("retry", wait_ms)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_redirects_are_not_followed(self, sink: WebhookSink, status: int) -> None:
        outcome = await self.answered(sink, Answer(status, {"Location": sink.url}))
        assert (outcome.verdict, outcome.reason) == ("refused", f"HTTP {status}: redirects are not followed")

    async def test_a_slow_receiver_is_not_waited_for_longer_than_the_limit(self) -> None:
        async with raw_server(_never_answer) as url:
            outcome = await self.send(url, poster(total_seconds=0.2))
        assert outcome == Outcome("retry", reason="no answer in time")

    async def test_a_refused_connection_is_repeated(self) -> None:
        assert await self.send(f"http://127.0.0.1:{free_port()}") == Outcome("retry", reason="connection refused")

    async def test_a_connection_that_is_closed_early_is_repeated(self) -> None:
        async with raw_server(_hang_up) as url:
            outcome = await self.send(url)
        assert outcome == Outcome("retry", reason="the connection was closed before an answer")

    async def test_an_answer_that_is_not_http_is_repeated(self) -> None:
        async with raw_server(_garbage) as url:
            outcome = await self.send(url)
        assert outcome.verdict == "retry"
        assert outcome.reason.startswith("not an HTTP answer")

    async def test_a_name_that_does_not_resolve_is_repeated(self) -> None:
        assert await self.send("http://no-such-host.invalid") == Outcome("retry", reason="the name does not resolve")

    async def test_no_tls_at_the_other_side_is_repeated(self, sink: WebhookSink) -> None:
        outcome = await self.send(sink.url.removesuffix("/hook").replace("http:", "https:"))
        assert outcome == Outcome("retry", reason="no trusted TLS connection")

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "169.254.169.254", "0.0.0.0"])
    async def test_private_addresses_are_not_reached_unless_allowed(self, sink: WebhookSink, host: str) -> None:
        port = parse_url(sink.url).port
        outcome = await self.send(f"http://{host}:{port}", poster(allow_private_addresses=False))
        # aiohttp itself refuses IPv4 addresses that are not written in the usual way.
        why = "the request cannot be built" if host.isdigit() else "not a public address"
        assert (outcome.verdict, outcome.reason.partition(",")[0]) == ("refused", why)
        assert sink.deliveries == []

    async def test_a_name_is_connected_to_where_it_was_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that resolves to a public and a private address: only the public one is tried."""
        tried: list[str] = []
        loop = asyncio.get_running_loop()

        async def resolve(host: str, port: int, **_: object) -> list[object]:
            addresses = ["127.0.0.1", "192.0.2.1", "8.8.8.8"]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        async def connect(_: object, address: tuple[str, int]) -> None:
            tried.append(address[0])
            raise ConnectionRefusedError

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        monkeypatch.setattr(loop, "sock_connect", connect)
        outcome = await self.send("http://hooks.example", poster(allow_private_addresses=False))
        assert outcome.verdict == "retry"
        assert tried == ["8.8.8.8"]


def secret_url(url: str) -> SecretText[URL]:
    return SecretText("url", url, None, parse_url)

"""One HTTP request and what came of it: timeouts, no redirects, no private addresses, no address in any text.

The texts of aiohttp's errors repeat the URL, and a Slack URL is a secret: nothing here uses them.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping

import aiohttp
from yarl import URL

from agents.notifier.receivers.addresses import GuardedResolver, RefusedAddressError, is_refused_literal
from agents.notifier.receivers.receiver import Outcome
from agents.notifier.receivers.retry import outcome_of_status

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
# As much of an answer as is ever looked at.
_BODY_BYTES = 1024

# From (status, outcome by the status, start of the body) to what a receiver makes of it.
Judge = Callable[[Outcome, bytes], Outcome]


def parse_url(text: str) -> URL:
    """A URL that can be posted to.

    Raises:
        ValueError: it cannot; the text does not repeat it.
    """
    try:
        url = URL(text)
        complete = url.scheme in {"http", "https"} and bool(url.host)
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("expected an address such as https://host/path")
    return url


class Poster:
    """Posts to one receiver; a connection serves one request, because alerts are rare and idle ones get cut."""

    def __init__(
        self,
        *,
        allow_private_addresses: bool,
        clock: Callable[[], float] = time.time,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._clock = clock
        self._guarded = not allow_private_addresses
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str], judge: Judge | None = None) -> Outcome:
        """Post once.

        Args:
            judge: for receivers whose status does not say everything; gets the start of the body.
        """
        if self._guarded and is_refused_literal(url.host or ""):
            return _REFUSED_ADDRESS
        try:
            async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                outcome = outcome_of_status(answer.status, answer.headers, round(self._clock() * 1000))
                return outcome if judge is None else judge(outcome, await _read_start(answer))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _outcome_of_error(error)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = GuardedResolver() if self._guarded else aiohttp.ThreadedResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, force_close=True),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "driftline", "Content-Type": "application/json"},
            )
        return self._session

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


async def _read_start(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.content.readexactly(_BODY_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial


_REFUSED_ADDRESS = Outcome("refused", reason="not a public address, and allow_private_addresses is false")


def _outcome_of_error(error: Exception) -> Outcome:
    """What a failure comes to. Nothing that a network does is for ever."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, RefusedAddressError):
        return _REFUSED_ADDRESS
    if isinstance(error, ValueError) and not isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return Outcome("refused", reason="the request cannot be built")
    return Outcome("retry", reason=_explain(error))


# The first type that fits; the order matters, for some are subclasses of others.
_EXPLANATIONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientConnectorDNSError, "the name does not resolve"),
    (aiohttp.ClientSSLError, "no trusted TLS connection"),
    (ssl.SSLError, "no trusted TLS connection"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer"),
    (ConnectionError, "the connection was closed before an answer"),
)


def _explain(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "connection refused"
    fitting = (words for kind, words in _EXPLANATIONS if isinstance(error, kind))
    return next(fitting, f"not an HTTP answer ({type(error).__name__})")

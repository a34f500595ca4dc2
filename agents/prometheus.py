"""Asking a Prometheus for the past of an expression: `query_range` in pieces that it accepts.

Its answers are columns over the steps that were asked for. What went wrong says at which address and in which
expression.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
from yarl import URL

from agents.settings import SettingsError

# More points a series than this a Prometheus refuses ("exceeded maximum resolution").
MAX_POINTS = 11_000
_TIMEOUT = aiohttp.ClientTimeout(total=180, sock_connect=10)
# Overloaded, or not up yet, or a proxy that does not reach it: it may answer later.
_AWAY = frozenset({429, 502, 503, 504})


class QueryError(Exception):
    """The Prometheus answered that it will not evaluate this."""


class UnreachableError(Exception):
    """There is no Prometheus, or none that answers now."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a result. values: one a step, None = absent or no finite number."""

    labels: dict[str, str]
    values: list[float | None]


def pieces_of(start_ms: int, end_ms: int, step_ms: int, points: int = MAX_POINTS) -> Iterator[tuple[int, int]]:
    """(first, last) step of each piece of [start_ms, end_ms], oldest first, of so many steps at most."""
    while start_ms <= end_ms:
        last_ms = min(end_ms, start_ms + (points - 1) * step_ms)
        last_ms -= (last_ms - start_ms) % step_ms
        yield start_ms, last_ms
        start_ms = last_ms + step_ms


class PrometheusClient:
    """One server, over a session of the caller's. url: its root; user and password in it are used and not shown."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Raises SettingsError: not an address."""
        address = _parse(url)
        if address.scheme not in {"http", "https"} or not address.host:
            raise SettingsError(f"expected an address such as http://127.0.0.1:9090, got {url!r}")
        self._session = session
        self._headers: dict[str, str] = {}
        if address.user:
            self._headers["Authorization"] = aiohttp.encode_basic_auth(address.user, address.password or "")
        self.shown_url = str(address.with_user(None))
        self._endpoint = address.with_user(None) / "api/v1/query_range"

    async def query_range(self, expr: str, first_ms: int, last_ms: int, step_ms: int) -> list[Element]:
        """The result at every step from `first_ms` to `last_ms`: at most `MAX_POINTS` of them.

        Raises:
            QueryError: it cannot be evaluated, or gives no numbers.
            UnreachableError: no answer.
        """
        form = {"query": expr, "start": _seconds(first_ms), "end": _seconds(last_ms), "step": _seconds(step_ms)}
        try:
            async with self._session.post(self._endpoint, data=form, headers=self._headers, timeout=_TIMEOUT) as answer:
                status, text = answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"{self.shown_url}: {str(error) or 'no answer'}") from error
        if status in _AWAY:
            raise UnreachableError(f"{self.shown_url}: {status}: {text[:200]}")
        return self._read(expr, status, text, range(first_ms, last_ms + 1, step_ms))

    def _read(self, expr: str, status: int, text: str, steps: range) -> list[Element]:
        try:
            document = json.loads(text)
            if document["status"] != "success":
                raise QueryError(f"{self.shown_url}: {document['errorType']}: {document['error']}, in {expr}")
            data = document["data"]
            if data["resultType"] != "matrix":
                raise QueryError(f"{self.shown_url}: expected a matrix, got a {data['resultType']}, of {expr}")
            if any("histograms" in series for series in data["result"]):
                raise QueryError(f"{self.shown_url}: the result is a native histogram, no number, of {expr}")
            return [Element(series["metric"], _column(series["values"], steps)) for series in data["result"]]
        except (ValueError, KeyError, TypeError) as error:
            raise QueryError(f"{self.shown_url}: {status}, and no answer of a Prometheus: {text[:200]}") from error


def _parse(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise SettingsError(f"{url!r} is no address: {error}") from error


def _column(pairs: list[tuple[float, str]], steps: range) -> list[float | None]:
    column: list[float | None] = [None] * len(steps)
    for seconds, text in pairs:
        value = float(text)
        if math.isfinite(value):
            column[(round(seconds * 1000) - steps.start) // steps.step] = value
    return column


def _seconds(time_ms: int) -> str:
    return f"{time_ms // 1000}.{time_ms % 1000:03d}"

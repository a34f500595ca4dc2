"""Asking a Prometheus: pieces it accepts, columns over the steps, errors that name the place and no password."""

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agents.prometheus import Element, PrometheusClient, QueryError, UnreachableError, pieces_of
from agents.settings import SettingsError


@pytest.mark.parametrize(
    ("last", "points", "pieces"),
    [
        (0, 3, [(0, 0)]),
        (20, 3, [(0, 20)]),
        (30, 3, [(0, 20), (30, 30)]),
        (65, 3, [(0, 20), (30, 50), (60, 60)]),
        (-10, 3, []),
    ],
)
def test_pieces_cover_every_step_once(last: int, points: int, pieces: list[tuple[int, int]]) -> None:
    assert list(pieces_of(0, last, 10, points)) == pieces


class Server:
    """Answers one document and remembers what it was asked."""

    def __init__(self, document: object, status: int = 200) -> None:
        self.document = document
        self.status = status
        self.form: dict[str, Any] = {}
        self.authorization: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        self.form = dict(await request.post())
        self.authorization = request.headers.get("Authorization")
        text = self.document if isinstance(self.document, str) else json.dumps(self.document)
        return web.Response(text=text, status=self.status)

    async def ask(self, user: str | None = None, password: str | None = None) -> list[Element]:
        app = web.Application()
        app.router.add_post("/prefix/api/v1/query_range", self.answer)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            url = server.make_url("/prefix").with_user(user).with_password(password)
            client = PrometheusClient(session, str(url))
            return await client.query_range("up", 60_000, 120_000, 15_000)


def matrix(*series: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}


async def test_a_result_is_a_column_over_every_step_that_was_asked_for() -> None:
    values = [[60, "1"], [75.0, "NaN"], [105, "+Inf"], [120, "2.5"]]
    server = Server(matrix({"metric": {"job": "a"}, "values": values}))
    assert await server.ask() == [Element({"job": "a"}, [1.0, None, None, None, 2.5])]
    assert server.form == {"query": "up", "start": "60.000", "end": "120.000", "step": "15.000"}


@pytest.mark.parametrize(
    ("document", "status", "complaint"),
    [
        (
            {"status": "error", "errorType": "bad_data", "error": "no such function"},
            400,
            "bad_data: no such function, in up",
        ),
        (matrix({"metric": {}, "histograms": []}), 200, "the result is a native histogram, no number, of up"),
        ({"status": "success", "data": {"resultType": "scalar", "result": []}}, 200, "expected a matrix, got a scalar"),
        ("<html>", 404, "404, and no answer of a Prometheus: <html>"),
    ],
)
async def test_what_cannot_be_evaluated_says_why(document: object, status: int, complaint: str) -> None:
    with pytest.raises(QueryError) as error:
        await Server(document, status).ask()
    assert complaint in str(error.value)


async def test_an_overloaded_server_is_away() -> None:
    with pytest.raises(UnreachableError, match="503: busy"):
        await Server("busy", 503).ask()


async def test_a_password_in_the_address_is_used_and_never_shown() -> None:
    server = Server("no", 401)
    with pytest.raises(QueryError) as error:
        await server.ask("me", "s3cret")
    assert server.authorization == aiohttp.encode_basic_auth("me", "s3cret")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("url", ["nowhere", "ftp://x", "http://", "http://[", "127.0.0.1:9090"])
async def test_what_is_no_address_is_refused(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SettingsError):
            PrometheusClient(session, url)

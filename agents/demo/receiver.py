"""A webhook receiver of the demonstration's own: shows what a receiver gets."""

import asyncio

import msgspec
from aiohttp import web

from budgets.event import AlertEvent, decode_event


class Receiver:
    """Keeps the alert events that arrive; `first` is done when the first alert that fires has come."""

    def __init__(self) -> None:
        self.first: asyncio.Future[tuple[AlertEvent, bytes]] = asyncio.get_running_loop().create_future()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = decode_event(body)
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=f"not an alert event: {error}\n")
        if event.status == "firing" and not self.first.done():
            self.first.set_result((event, body))
        return web.Response(status=204)

    def create_app(self) -> web.Application:
        """The application to serve; events are posted to `/`."""
        app = web.Application()
        app.router.add_post("/", self._take)
        return app

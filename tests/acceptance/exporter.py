"""A small exporter for a real Prometheus to scrape: one simulated service that can be told to misbehave.

    python -m tests.acceptance.exporter PORT

`POST /slowdown?factor=3`, `POST /errors?ratio=0.05` change how it behaves from now on.
"""

import sys
import time

import numpy as np
from aiohttp import web

from agents.demo.traffic import Floats, RequestService


def exposition(service: RequestService, readings: Floats) -> str:
    """The service's readings in the Prometheus text format; Prometheus adds `instance` and `job` itself."""
    lines = []
    for labels, value in zip(service.series, readings.tolist(), strict=True):
        kept = ",".join(f'{k}="{v}"' for k, v in labels.items() if k not in {"__name__", "instance", "job"})
        pod = labels["instance"].partition(":")[0]
        lines.append(f'{labels["__name__"]}{{{kept},pod="{pod}"}} {value!r}')
    return "\n".join(lines) + "\n"


class Exporter:
    """Advances the simulation by the time between two scrapes."""

    def __init__(self, rate: float) -> None:
        self.factor = 1.0
        self._service = RequestService(
            "auth-service",
            rate=rate,
            median_seconds=0.055,
            error_ratio=0.001,
            slowdown=lambda s: np.full_like(s, self.factor),
        )
        self._rng = np.random.default_rng(11)
        self._last = time.time()

    async def metrics(self, _: web.Request) -> web.Response:
        now = time.time()
        readings = self._service.advance(np.array([now]), now - self._last, self._rng)[0]
        self._last = now
        return web.Response(text=exposition(self._service, readings))

    async def slowdown(self, request: web.Request) -> web.Response:
        self.factor = float(request.query["factor"])
        return web.Response(status=204)

    async def errors(self, request: web.Request) -> web.Response:
        self._service.error_ratio = float(request.query["ratio"])
        return web.Response(status=204)


def create_exporter(rate: float = 3000.0) -> web.Application:
    """The exporter's application."""
    exporter = Exporter(rate)
    app = web.Application()
    app.router.add_get("/metrics", exporter.metrics)
    app.router.add_post("/slowdown", exporter.slowdown)
    app.router.add_post("/errors", exporter.errors)
    return app


if __name__ == "__main__":
    web.run_app(create_exporter(), host="127.0.0.1", port=int(sys.argv[1]), print=None)

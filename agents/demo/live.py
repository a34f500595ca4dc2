"""Simulated traffic in real time, through the ingest endpoint like anybody's Prometheus."""

import asyncio
import time

import aiohttp
import cramjam
import numpy as np
import structlog

from agents.demo.timelapse import Services
from agents.demo.traffic import Floats
from streams.wire.encode import encode_write_request

log = structlog.get_logger()

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Regression:
    """A slowdown that begins when somebody says so.

    factor: how many times slower. starts_at: Unix seconds; infinity = not yet.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self.starts_at = float("inf")

    def __call__(self, seconds: Floats) -> Floats:
        """Factors for `seconds` (n,): 1.0 before the start, `factor` from then on."""
        return np.where(seconds >= self.starts_at, self._factor, 1.0)


def _body(services: Services, now: float, interval_seconds: float, rng: np.random.Generator) -> bytes:
    series = []
    for service in services:
        readings = service.advance(np.array([now]), interval_seconds, rng)[0]
        series += [
            (labels, [(round(now * 1000), float(value))])
            for labels, value in zip(service.series, readings, strict=True)
        ]
    return bytes(cramjam.snappy.compress_raw(encode_write_request(series)))


async def send_live(
    services: Services, url: str, interval_seconds: float, rng: np.random.Generator, last_ms: int
) -> None:
    """Write every service's samples each `interval_seconds`, until cancelled.

    Args:
        url: the ingest endpoint, `http://…/api/v1/write`.
        last_ms: time of the newest sample that was sent before, so that no traffic goes missing.
    """
    last = last_ms / 1000
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        while True:
            now = time.time()
            body = _body(services, now, now - last, rng)
            last = now
            try:
                async with session.post(url, data=body) as answer:
                    if answer.status >= 300:
                        log.warning("live samples were refused", status=answer.status, reason=await answer.text())
            except aiohttp.ClientError as error:
                log.warning("live samples did not arrive", error=str(error))
            await asyncio.sleep(max(0.0, interval_seconds - (time.time() - now)))

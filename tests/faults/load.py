"""Load for the fault tests: services whose throughput keeps crossing its limit, written like a real sender.

The sender behaves as Prometheus does: it repeats what was answered with 503 or not at all, in order, and counts
as acknowledged only what got a 2xx.
"""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp
import cramjam

from streams.wire.encode import encode_write_request

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
PERIOD_SECONDS = 12
PODS = 3


def service_names(services: int) -> list[str]:
    """The services under load."""
    return [f"svc-{number}" for number in range(services)]


def budgets_of(services: int) -> str:
    """A budget document whose alerts come and go within seconds."""
    limits = '"min_rps": 60, "warning_threshold": 0.9, "critical_threshold": 0.5'
    options = '"window": "4s", "for": "1s", "keep_firing_for": "2s"'
    return (
        "{"
        + ", ".join(f'"{name}": {{"throughput": {{{limits}, {options}}}}}' for name in service_names(services))
        + "}"
    )


@dataclass(slots=True)
class Sender:
    """Writes one sample a series and half second; `acknowledged` holds every sample that got a 2xx.

    A service is fast for half of the period and slow for the other half, each with its own phase.
    """

    urls: list[str]
    services: int
    acknowledged: set[tuple[str, str, int]] = field(default_factory=set)
    retries: int = 0
    _totals: dict[str, float] = field(default_factory=dict)

    def _series(self, now_ms: int) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
        series = []
        for number, service in enumerate(service_names(self.services)):
            phase = (now_ms / 1000 + number * 1.7) % PERIOD_SECONDS
            rate = 100.0 if phase < PERIOD_SECONDS / 2 else 10.0
            for pod in range(PODS):
                instance = f"{service}-{pod}"
                total = self._totals.get(instance, 1.0) + rate / PODS * 0.5
                self._totals[instance] = total
                labels = {"__name__": "http_requests_total", "service": service, "instance": instance, "code": "200"}
                series.append((labels, [(now_ms, total)]))
        return series

    async def _post(self, session: aiohttp.ClientSession, body: bytes, attempt: int) -> bool:
        try:
            async with session.post(self.urls[attempt % len(self.urls)], data=body) as answer:
                if answer.status in {400, 413, 415}:
                    raise AssertionError(f"{answer.status}: {await answer.text()}")
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; the body under way is finished first."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:
            while not stop.is_set():
                now_ms = round(time.time() * 1000)
                series = self._series(now_ms)
                body = bytes(cramjam.snappy.compress_raw(encode_write_request(series)))
                attempt = 0
                while not await self._post(session, body, attempt):
                    attempt += 1
                    self.retries += 1
                    await asyncio.sleep(0.1)
                self.acknowledged.update(
                    (labels["service"], labels["instance"], samples[0][0]) for labels, samples in series
                )
                await asyncio.sleep(max(0.0, 0.5 - (time.time() - now_ms / 1000)))

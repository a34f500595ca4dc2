"""`POST /api/v1/write`: every answer that a sender can get, and nothing of what is inside.

| answer | when | the sender |
|---|---|---|
| 204 | Kafka has acknowledged every sample that a budget needs | goes on |
| 400 | snappy, protobuf or labels malformed (2.0: the rest is kept); new series beyond the limit | drops it |
| 413 | above a limit | drops it |
| 415 | content type or encoding not supported | sends another |
| 503 | Kafka is away, too much is waiting, or this process is not ready | comes again |

401 and 403 are given before, by `agents/access.py`. Every answer to a 2.0 request says in headers what of it was
written.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.client_exceptions import ClientPayloadError

from agents.ingest.elections import Replica
from agents.ingest.headers import message_of
from agents.ingest.opening import Message
from agents.ingest.sample_log import LogUnavailableError, SampleLog
from agents.ingest.sorting import Sorted, Written
from agents.metrics import IngestMetrics
from streams.wire.errors import MalformedError, TooLargeError

log = structlog.get_logger()

PATH = "/api/v1/write"
RETRY_AFTER_SECONDS = 2
# A body that trickles in holds memory for others to wait for.
BODY_SECONDS = 30.0
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


class BodySorter(Protocol):
    """`agents.ingest.sorting.Sorter`, or what a test puts in its place."""

    def sort(self, body: bytes, message: Message, *, settled: bool = False) -> Sorted: ...  # noqa: D102  the class docstring says it


class ReplicaElector(Protocol):
    """`agents.ingest.replica_log.ReplicaLog`, or what a test puts in its place."""

    async def settle(self, replicas: Iterable[Replica]) -> None: ...  # noqa: D102  the class docstring says it

    def renew(self, replicas: Iterable[Replica]) -> None: ...  # noqa: D102  the class docstring says it


class Endpoint:
    """The handler of write requests.

    not_ready: why requests cannot be taken now, None = they can.
    """

    def __init__(
        self,
        sorter: BodySorter,
        sample_log: SampleLog,
        replicas: ReplicaElector,
        metrics: IngestMetrics,
        max_body_bytes: int,
        not_ready: Callable[[], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sorter = sorter
        self._log = sample_log
        self._replicas = replicas
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._not_ready = not_ready
        self._clock = clock

    async def handle(self, request: web.Request) -> web.Response:
        """Take one request: the HTTP boundary, where no exception passes but aiohttp's own."""
        message, unsupported = message_of(request.headers)
        written = Written()
        try:
            if message is None:
                answer = _text(415, unsupported)
            else:
                answer = await self._answer(request, message, written)
        except LogUnavailableError as error:
            answer = _text(503, str(error))
            answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        except TooLargeError as error:
            answer = _text(413, str(error))
        except MalformedError as error:
            answer = _text(400, str(error))
        except (ClientPayloadError, ConnectionError, TimeoutError):
            answer = _text(400, f"the body ended too early, or took longer than {BODY_SECONDS:.0f} s")
        except Exception:
            log.exception("a write request failed")
            answer = _text(500, "internal error")
        self._metrics.requests.labels(str(answer.status)).inc()
        if message is Message.VERSION_2:
            for name, number in asdict(written).items():
                answer.headers[WRITTEN.format(name.capitalize())] = str(number)
        return answer

    async def _answer(self, request: web.Request, message: Message, written: Written) -> web.Response:
        """The answer, and in `written` what Kafka has acknowledged or nobody needs."""
        reason = self._not_ready()
        if reason is not None:
            raise LogUnavailableError(reason)
        with ExitStack() as memory:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read_body(request, memory)
            result = self._sorter.sort(body, message)
            if result.unsettled:
                await self._replicas.settle(result.unsettled)
                result = self._sorter.sort(body, message, settled=True)
        self._replicas.renew(result.elected)
        self._metrics.body_bytes.inc(len(body))
        await self._log.write(result.parts)
        written.add(result.written)
        self._count(result)
        return _answer_of(result)

    async def _read_body(self, request: web.Request, memory: ExitStack) -> bytes:
        """The body, with memory held for it, within its limit whether its length is declared or not."""
        declared = request.content_length
        if declared is not None:
            self._check_size(declared)
            memory.enter_context(self._log.reserve(declared))
        pieces: list[bytes] = []
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if declared is None:
                self._check_size(size)
                memory.enter_context(self._log.reserve(len(piece)))
            pieces.append(piece)
        return b"".join(pieces)

    def _check_size(self, size: int) -> None:
        if size > self._max_body_bytes:
            raise TooLargeError(f"body is {size} bytes or longer, at most {self._max_body_bytes} are taken")

    def _count(self, result: Sorted) -> None:
        metrics = self._metrics
        metrics.samples.inc(result.samples)
        if result.unneeded:
            metrics.dropped.labels("unneeded").inc(result.unneeded)
        if result.standby:
            metrics.dropped.labels("standby").inc(result.standby)
        if result.refused_samples:
            metrics.dropped.labels("series_limit").inc(result.refused_samples)
        if result.metadata:
            metrics.metadata_dropped.inc(result.metadata)
        if result.written.exemplars:
            metrics.exemplars_dropped.inc(result.written.exemplars)
        if result.samples and result.newest_ms is not None:
            metrics.delay_seconds.observe(max(0.0, self._clock() - result.newest_ms / 1000))


def _answer_of(result: Sorted) -> web.Response:
    """204, or what was left out and why."""
    texts: list[str] = []
    if result.refused_series:
        texts.append(f"{result.refused_series} new series refused: the series limit is reached; known series are kept")
    if result.faults:
        texts.append(f"{len(result.faults)} of {result.series} series at fault, others are kept; {result.faults[0]}")
    if not texts:
        return web.Response(status=204)
    nothing_fits = len(result.faults) == result.series and isinstance(result.faults[0], TooLargeError)
    return _text(413 if nothing_fits else 400, "\n".join(texts))


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")

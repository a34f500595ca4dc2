"""Ten thousand bad bodies against a real ingest process: refused one by one, forgotten, and not a word about us."""

import asyncio
import io
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import aiohttp
import psutil
import pytest

from agents.kafka.topics import SAMPLES
from agents.settings import Settings
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.wire.labels import parse_labels
from streams.wire.request import split_series
from streams.wire.samples import read_samples
from tests.faults.bad_bodies import Body, Generator, Sample, Verdict, judge
from tests.faults.stored import read_topic
from tests.servers.embedded import EmbeddedBroker
from tests.servers.ingest import declare, run_ingest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SEED = 20_261_124
BODIES = 10_000
CONNECTIONS = 8
MAX_GROWTH_BYTES = 50 << 20
REFUSED = {400, 413, 415}
# Needs every series that can be: whatever is taken must be found in the log.
EVERYTHING = ServiceBudget(
    "all", (IndicatorSpec("all/i", "all", "i", "custom", 'sum({__name__=~".+"})', "1", "above"),)
)


@dataclass
class Answers:
    """What was answered, and what must be in the log because of it."""

    counts: Counter[tuple[str, Verdict, int]] = field(default_factory=Counter)
    accepted: Counter[Sample] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def take(self, body: Body, status: int, text: str) -> None:
        """Compare one answer with the judge's verdict."""
        verdict, samples = judge(body.content)
        if body.kind == "wrong headers":
            verdict = "bad"
        self.counts[body.kind, verdict, status] += 1
        right = {"bad": REFUSED, "good": {204}, "strange": REFUSED | {204}}[verdict]
        if status not in right or "Traceback" in text or "line " in text or len(text) > 300:
            self.wrong.append(f"{body.kind}, {verdict}: {status} {text[:300]}")
        if status == 204:
            self.accepted.update(samples)


async def send_all(url: str, bodies: list[Body]) -> Answers:
    """Send every body over several connections."""
    answers = Answers()
    waiting = iter(bodies)
    async with aiohttp.ClientSession() as session:

        async def send() -> None:
            for body in waiting:
                async with session.post(url, data=io.BytesIO(body.content), headers=body.headers) as answer:
                    answers.take(body, answer.status, await answer.text())

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return answers


async def stored(settings: Settings, partitions: int) -> Counter[Sample]:
    """Every sample in the log, to the bit."""
    found: Counter[Sample] = Counter()
    for number in range(partitions):
        for record in await read_topic(settings, SAMPLES.name, number):
            batch = read_samples(split_series(record.value)) if record.value else None
            for index in range(len(batch.values) if batch else 0):
                assert batch is not None
                labels = parse_labels(batch.blobs[batch.series[index]])
                found[labels, int(batch.timestamps_ms[index]), struct.pack("<d", batch.values[index])] += 1
    return found


class Memory:
    """The largest resident size of a process while the block lasts, looked at from a thread."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = self.peak = process.memory_info().rss

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        """Bytes more than at the start."""
        return self._process.memory_info().rss - self.before


def report(answers: Answers, seconds: float, memory: Memory) -> str:
    """The figures, for people."""
    lines = [f"{k:<24}{v:<10}{status:>4}{n:>7}" for (k, v, status), n in sorted(answers.counts.items())]
    sizes = [f"{size / 2**20:.1f} MiB" for size in (memory.before, memory.growth, memory.peak - memory.before)]
    memory_line = "memory {}, grew by {}, at most by {} for a moment".format(*sizes)
    return "\n".join(["", *lines, f"{answers.counts.total()} bodies in {seconds:.0f} s; {memory_line}", ""])


async def test_bad_bodies_are_refused_and_leave_nothing_behind(embedded_broker: EmbeddedBroker) -> None:
    settings = await declare(embedded_broker.kafka, [EVERYTHING])
    generator = Generator(SEED)
    with run_ingest(embedded_broker.kafka) as ingest:
        warm = await send_all(ingest.write_url, list(generator.bodies(200)))
        started = time.monotonic()
        with Memory(psutil.Process(ingest.pid)) as memory:
            answers = await send_all(ingest.write_url, list(generator.bodies(BODIES)))
        sys.stdout.write(report(answers, time.monotonic() - started, memory))
        assert answers.wrong == []
        assert answers.counts.total() == BODIES
        assert memory.growth < MAX_GROWTH_BYTES
        assert "Traceback" not in ingest.log_text()
        assert await stored(settings, 4) == warm.accepted + answers.accepted

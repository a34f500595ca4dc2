"""Bad bodies of remote write 2.0 against a real ingest process: of each the good series are kept, and only they."""

import asyncio
import io
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import psutil
import pytest

from tests.faults.bad_bodies import Body, Sample, Verdict
from tests.faults.bad_bodies_2 import Generator, judge
from tests.faults.test_bad_input import CONNECTIONS, EVERYTHING, MAX_GROWTH_BYTES, Memory, stored
from tests.servers.embedded import EmbeddedBroker
from tests.servers.ingest import declare, run_ingest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SEED = 20_261_125
BODIES = 5_000


@dataclass
class Answers:
    """What was answered, what must be in the log because of it, and what may be."""

    counts: Counter[tuple[str, Verdict, int]] = field(default_factory=Counter)
    accepted: Counter[Sample] = field(default_factory=Counter)
    possible: Counter[Sample] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def take(self, body: Body, status: int, text: str, written: str | None) -> None:
        """Compare one answer with the judge's verdict. Fields that nobody knows may be refused or not."""
        judgement = judge(body.content)
        too_long = "long labels" in body.kind
        verdict: Verdict = "bad" if too_long else judgement.verdict
        self.counts[body.kind, verdict, status] += 1
        right = {"bad": {400, 413}, "strange": {204, 400, 413}, "good": {400, 413} if judgement.bad else {204}}[verdict]
        exact = verdict == "strange" or written == str(len(judgement.samples) if verdict == "good" else 0)
        if status not in right or not exact or "Traceback" in text or len(text) > 300:
            self.wrong.append(f"{body.kind}, {verdict}, written {written}: {status} {text[:300]}")
        if verdict == "good":
            self.accepted.update(judgement.samples)
        elif verdict == "strange":
            self.possible.update(judgement.samples)


async def send_all(url: str, bodies: list[Body]) -> Answers:
    """Send every body over several connections."""
    answers = Answers()
    waiting = iter(bodies)
    async with aiohttp.ClientSession() as session:

        async def send() -> None:
            for body in waiting:
                async with session.post(url, data=io.BytesIO(body.content), headers=body.headers) as answer:
                    written = answer.headers.get("X-Prometheus-Remote-Write-Samples-Written")
                    answers.take(body, answer.status, await answer.text(), written)

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return answers


async def test_of_bad_2_0_bodies_exactly_the_good_series_are_kept(embedded_broker: EmbeddedBroker) -> None:
    settings = await declare(embedded_broker.kafka, [EVERYTHING])
    generator = Generator(SEED)
    with run_ingest(embedded_broker.kafka) as ingest:
        warm = await send_all(ingest.write_url, list(generator.bodies(200)))
        started = time.monotonic()
        with Memory(psutil.Process(ingest.pid)) as memory:
            answers = await send_all(ingest.write_url, list(generator.bodies(BODIES)))
        lines = [f"{k:<24}{v:<10}{status:>4}{n:>7}" for (k, v, status), n in sorted(answers.counts.items())]
        sys.stdout.write("\n".join(["", *lines, f"{time.monotonic() - started:.0f} s, grew by {memory.growth}", ""]))
        assert warm.wrong + answers.wrong == []
        assert answers.counts.total() == BODIES
        assert memory.growth < MAX_GROWTH_BYTES
        assert "Traceback" not in ingest.log_text()
        found = await stored(settings, 4)
        must = warm.accepted + answers.accepted
        assert must - found == Counter()
        assert found - must - warm.possible - answers.possible == Counter()

"""`driftline up` from outside, as CONTRACT 9 has it: one line `ready`, ten seconds to stop, and it goes on."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import cramjam
import psutil
import pytest

from agents.stack import free_port
from budgets.event import AlertEvent, decode_event
from streams.wire.encode import encode_write_request
from tests.servers.waiting import until
from tests.servers.webhook_sink import WebhookSink

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

BUDGET = {
    "api": {
        "window": "10s",
        "for": "1s",
        "keep_firing_for": "1s",
        "throughput": {"min_rps": 100, "warning_threshold": 0.9, "critical_threshold": 0.5},
    }
}
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


@dataclass
class Up:
    """One `driftline up`, its addresses and a service that sends to it."""

    process: asyncio.subprocess.Process
    ingest: str
    web: str

    def role(self, name: str) -> psutil.Process | None:
        """The running child of this name."""
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                if name in child.cmdline():
                    return child
        return None

    def kill(self, name: str) -> int:
        """`kill -9` of the child of this name; the id that it had."""
        child = self.role(name)
        assert child is not None
        child.kill()
        return child.pid

    def has_another(self, name: str, pid: int) -> bool:
        """Whether a child of this name runs that is not the process `pid`."""
        child = self.role(name)
        return child is not None and child.pid != pid

    async def alerts(self) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.web}/api/v1/alerts") as answer:
            items: list[dict[str, Any]] = (await answer.json())["items"]
            return items

    async def is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session:
                for root in (self.web, self.ingest.removesuffix("/api/v1/write")):
                    async with session.get(f"{root}/-/ready") as answer:
                        if answer.status != 200:
                            return False
        except aiohttp.ClientError:
            return False
        return True

    async def stop(self) -> float:
        """SIGTERM; the seconds that it took to end."""
        started = time.monotonic()
        self.process.terminate()
        await asyncio.wait_for(self.process.wait(), 30)
        return time.monotonic() - started


async def start_up(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agents.cli.main",
        "up",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DRIFTLINE_EVALUATION_DELAY": "1s", "DRIFTLINE_WORKER__SNAPSHOT_EVERY": "2s"},
    )


@asynccontextmanager
async def running(directory: Path, sink: WebhookSink, *arguments: str) -> AsyncIterator[Up]:
    """`up` that has said `ready`."""
    budget = directory / "budget.json"
    budget.write_text(json.dumps(BUDGET), encoding="utf-8")
    process = await start_up(
        *("--budgets", str(budget), "--data-dir", str(directory / "data"), "--step", "1s", "--webhook", sink.url),
        *("--ingest-listen", f"127.0.0.1:{free_port()}", "--web-listen", f"127.0.0.1:{free_port()}"),
        *arguments,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 90)).decode()
        found = re.fullmatch(r"ready ingest=(\S+) web=(\S+) kafka=\S+ data=\S+\n", line)
        assert found, line or (await errors).decode()
        up = Up(process, found[1], found[2])
        yield up
        if process.returncode is None:
            await up.stop()
        assert await process.stdout.read() == b"", "`ready` is the only line on stdout"
    finally:
        if process.returncode is None:
            process.kill()
        sys.stderr.write((await errors).decode())  # pytest shows it when the test fails
        await process.wait()


@asynccontextmanager
async def sink_running() -> AsyncIterator[WebhookSink]:
    sink = WebhookSink()
    await sink.start()
    yield sink
    await sink.stop()


class Traffic:
    """One service's counter, written twice a second; what is not accepted is sent again, as Prometheus does."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._total = 1.0

    async def run(self, url: str) -> None:
        """Until cancelled."""
        last = time.time()
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            while True:
                now = time.time()
                self._total += self.rate * (now - last)
                last = now
                labels = {"__name__": "http_requests_total", "service": "api", "instance": "a", "code": "200"}
                body = bytes(
                    cramjam.snappy.compress_raw(encode_write_request([(labels, [(round(now * 1000), self._total)])]))
                )
                await until(lambda body=body: self._accepted(session, url, body), 60, "samples are accepted")  # type: ignore[misc]
                await asyncio.sleep(0.5)

    @staticmethod
    async def _accepted(session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
        try:
            async with session.post(url, data=body) as answer:
                assert answer.status < 300 or answer.status == 503, await answer.text()
                return answer.status < 300
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def sending(traffic: Traffic, up: Up) -> AsyncIterator[None]:
    task = asyncio.create_task(traffic.run(up.ingest))
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def events(sink: WebhookSink) -> list[AlertEvent]:
    return [decode_event(delivery.body) for delivery in sink.deliveries]


def heard(sink: WebhookSink, *transitions: str) -> bool:
    return any(event.transition in transitions for event in events(sink))


@pytest.mark.parametrize("broker", ["embedded", "apache"])
async def test_a_second_up_on_the_same_data_goes_on_where_the_first_one_stopped(
    broker: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, topic_prefix: str
) -> None:
    kafka: tuple[str, ...] = ()
    if broker == "apache":
        kafka = ("--kafka", request.getfixturevalue("apache_kafka").bootstrap)
        monkeypatch.setenv("DRIFTLINE_KAFKA__TOPIC_PREFIX", topic_prefix)
        monkeypatch.setenv("DRIFTLINE_KAFKA__PARTITIONS", "4")
    traffic = Traffic(rate=20)
    async with sink_running() as sink:
        async with running(tmp_path, sink, *kafka) as up:
            async with sending(traffic, up):
                await until(lambda: heard(sink, "firing"), 60, "too little throughput fires")
            assert await up.stop() < 10
            assert up.process.returncode == 0
        first = events(sink)[0]
        async with running(tmp_path, sink, *kafka) as up:
            (alert,) = [alert for alert in await up.alerts() if alert["kind"] == "budget"]
            assert alert["fingerprint"] == first.fingerprint
            assert alert["status"] in {"firing", "stale"}
            traffic.rate = 200
            async with sending(traffic, up):
                await until(lambda: heard(sink, "resolved"), 60, "enough throughput resolves")
        assert {event.episode for event in events(sink) if event.kind == "budget"} == {first.episode}
        assert len({event.id for event in events(sink)}) == len(events(sink))


async def test_roles_that_die_come_back_and_so_does_the_broker(tmp_path: Path) -> None:
    traffic = Traffic(rate=20)
    async with sink_running() as sink, running(tmp_path, sink) as up:
        async with sending(traffic, up):
            await until(lambda: heard(sink, "firing"), 60, "too little throughput fires")
            dead = {name: up.kill(name) for name in ("notifier", "ingest", "web", "worker")}
            await until(lambda: all(up.has_another(*one) for one in dead.items()), 20, "they are started again")
            await until(up.is_ready, 60, "ingest and web are back")
            worker = up.role("worker")
            assert worker is not None
            up.kill("broker")
            await until(lambda: up.has_another("worker", worker.pid), 30, "roles start again with the new broker")
            await until(up.is_ready, 60, "everything is back")
            traffic.rate = 200
            await until(lambda: heard(sink, "resolved"), 90, "the alert goes on, and resolves")
        episodes = {event.episode for event in events(sink) if event.kind == "budget"}
        assert len(episodes) == 1


async def ends_with(*arguments: str) -> tuple[int, str, float]:
    """Exit code, what it said, and the seconds that it took."""
    started = time.monotonic()
    process = await start_up(*arguments)
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    assert out == b""
    return process.returncode, errors.decode(), time.monotonic() - started


async def test_without_budgets_it_says_how_to_give_one(tmp_path: Path) -> None:
    code, said, _ = await ends_with("--data-dir", str(tmp_path))
    assert code == 2
    assert "--budgets" in said


async def test_a_wrong_budget_stops_it_before_anything_starts(tmp_path: Path) -> None:
    budget = tmp_path / "wrong.json"
    budget.write_text('{"api": {"throughput": {"min_rps": "many"}}}', encoding="utf-8")
    code, said, _ = await ends_with("--budgets", str(budget), "--data-dir", str(tmp_path / "data"))
    assert code == 2
    assert "wrong.json" in said
    assert "min_rps" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("step", ["0s", "6m", "soon"])
async def test_a_wrong_step_stops_it(step: str, tmp_path: Path) -> None:
    code, said, _ = await ends_with("--budgets", "examples/budgets", "--data-dir", str(tmp_path), "--step", step)
    assert code == 2
    assert "step" in said


async def test_two_on_one_data_directory_are_refused(tmp_path: Path) -> None:
    async with sink_running() as sink, running(tmp_path, sink):
        code, said, _ = await ends_with("--budgets", "examples/budgets", "--data-dir", str(tmp_path / "data"))
        assert code == 2
        assert "in use by another driftline" in said


async def test_a_port_that_is_taken_stops_it_with_the_reason(tmp_path: Path) -> None:
    async with sink_running() as sink:
        taken = re.findall(r"127\.0\.0\.1:\d+", sink.url)[0]
        code, said, _ = await ends_with(
            "--budgets", "examples/budgets", "--data-dir", str(tmp_path), "--web-listen", taken
        )
    assert code == 2
    assert f"cannot listen on {taken}" in said

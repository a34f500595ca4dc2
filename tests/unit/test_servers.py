"""The suite's own tools: a missing server is named, never counted as passed; signatures are really checked."""

import base64
import hashlib
import hmac
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.servers.tools import MissingServerError, find_kafka_jars, find_program
from tests.servers.webhook_sink import Answer, WebhookSink, verify_signature

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
NEEDS_JAVA = """
import pytest
from tests.servers.tools import MissingServerError

@pytest.fixture
def server():
    raise MissingServerError("Java")

def test_with_a_server(server):
    pass

def test_without():
    pass
"""


def run_suite(directory: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(NEEDS_JAVA, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-v", "test_it.py"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "CI": ci, "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DRIFTLINE_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingServerError, match=r"^Java$"):
        find_program("Java")
    with pytest.raises(MissingServerError, match=r"^Kafka$"):
        find_kafka_jars()


def test_a_test_without_its_server_is_reported_as_not_run(tmp_path: Path) -> None:
    outcome = run_suite(tmp_path, ci="")
    assert outcome.returncode == 0, outcome.stdout
    assert "test_with_a_server NOT RUN: NO JAVA" in outcome.stdout
    assert "test_it.py::test_with_a_server: not run: no Java" in outcome.stdout
    assert "1 tests did not run: no Java" in outcome.stdout
    assert "1 passed, 1 not run" in outcome.stdout


def test_a_missing_server_fails_in_ci(tmp_path: Path) -> None:
    outcome = run_suite(tmp_path, ci="true")
    assert outcome.returncode == 1, outcome.stdout
    assert "1 passed, 1 error" in outcome.stdout


async def test_the_sink_keeps_what_arrives_and_answers_as_it_was_told() -> None:
    sink = WebhookSink()
    await sink.start()
    sink.answers.append(Answer(503, {"Retry-After": "3"}))
    async with aiohttp.ClientSession() as session:
        async with session.post(sink.url, data=b"first") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
        async with session.post(sink.url, data=b"second", headers={"X-Mark": "m"}) as answer:
            assert answer.status == 204
        url = sink.url
        await sink.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(url)
        await sink.start()
        assert sink.url == url
    await sink.stop()
    assert [delivery.body for delivery in sink.deliveries] == [b"first", b"second"]
    assert sink.deliveries[1].headers["x-mark"] == "m"


async def test_only_the_right_signature_passes() -> None:
    sink = WebhookSink()
    await sink.start()
    at, body = int(time.time()), b"{}"
    mac = hmac.new(b"0123456789abcdef", f"m1.{at}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    headers = {"webhook-id": "m1", "webhook-timestamp": str(at), "webhook-signature": signature}
    async with aiohttp.ClientSession() as session:
        await session.post(sink.url, data=body, headers=headers)
        await session.post(sink.url, data=b"{ }", headers=headers)
        stale = {**headers, "webhook-timestamp": str(at - 1000)}
        await session.post(sink.url, data=body, headers=stale)
    await sink.stop()
    verify_signature(sink.deliveries[0], SECRET)
    for forged in sink.deliveries[1:]:
        with pytest.raises(AssertionError):
            verify_signature(forged, SECRET)

"""`driftline demo` from outside: history, a regression, the alert within a minute, and a clean end."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from agents.stack import free_port
from budgets.event import decode_event

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


async def start_demo(data_dir: Path) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "agents.cli.main", "demo", "--history", "3h", "--data-dir", str(data_dir)]
    listen = ["--ingest-listen", f"127.0.0.1:{free_port()}", "--web-listen", f"127.0.0.1:{free_port()}"]
    return await asyncio.create_subprocess_exec(
        *command, *listen, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=dict(os.environ)
    )


async def test_the_first_alert_comes_within_a_minute_and_its_body_is_printed(tmp_path: Path) -> None:
    demo = await start_demo(tmp_path)
    assert demo.stdout is not None
    assert demo.stderr is not None
    said = asyncio.create_task(demo.stderr.read())
    try:
        ready = (await asyncio.wait_for(demo.stdout.readline(), 150)).decode()
        assert ready.startswith("ready "), ready
        ready_at = time.monotonic()
        body = b""
        while not body.endswith(b"\n}\n"):
            body += await asyncio.wait_for(demo.stdout.readline(), 60)
        assert time.monotonic() - ready_at < 60
        demo.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(demo.wait(), 10) == 0
    finally:
        if demo.returncode is None:
            demo.kill()
        text = (await said).decode()
        sys.stderr.write(text)  # pytest shows it when the test fails
    event = decode_event(body)
    assert (event.service, event.status, event.severity) == ("auth-service", "firing", "critical")
    assert json.loads(body)["evidence"]["change_ratio"] > 1
    assert [change.version for change in event.changes] == ["2.4.1"]
    assert "auth-service changed to 2.4.1 " in event.annotations.description
    assert "0.125 simulated days through the log" in text
    assert "page: http://127.0.0.1:" in text
    assert event.annotations.summary in text
    assert "Traceback" not in text


async def test_it_ends_cleanly_while_it_starts(tmp_path: Path) -> None:
    demo = await start_demo(tmp_path)
    assert demo.stderr is not None
    said = b""
    while b"the embedded broker is ready" not in said:
        said += await asyncio.wait_for(demo.stderr.readline(), 60)
    demo.terminate()
    _, rest = await asyncio.wait_for(demo.communicate(), 15)
    assert demo.returncode == 0
    assert b"Traceback" not in said + rest


async def test_a_directory_with_a_history_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    demo = await start_demo(tmp_path)
    _, said = await asyncio.wait_for(demo.communicate(), 60)
    assert demo.returncode == 2
    assert b"needs a new one" in said

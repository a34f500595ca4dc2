"""Children are kept alive, stopped in order and in time, and never outlive us."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import agents.supervisor
from agents.settings import SettingsError
from agents.supervisor import Child, stop_in_order, wait_ready

SLEEPS = "import time; time.sleep(60)"
IGNORES_SIGTERM = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""


def child(program: str, *arguments: str, restart: bool = True, probe_url: str = "") -> Child:
    return Child("role", [sys.executable, "-c", program, *arguments], dict(os.environ), probe_url, restart)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_child_that_dies_is_started_again() -> None:
    role = child(SLEEPS)
    await role.start()
    assert role.process is not None
    first = role.process.pid
    role.process.kill()
    await until(lambda: role.restarts == 1 and role.process is not None and role.process.pid != first)
    await role.stop()
    assert role.process.returncode is not None


async def test_a_child_that_dies_at_once_is_started_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.supervisor, "RESTART_FIRST_SECONDS", 0.05)
    role = child("raise SystemExit(1)")
    started = time.monotonic()
    await role.start()
    await until(lambda: role.restarts == 5)
    assert time.monotonic() - started > 0.05 * (1 + 2 + 4 + 8)
    await role.stop()


async def test_a_child_that_must_not_come_back_says_that_it_ended() -> None:
    broker = child("raise SystemExit(3)", restart=False)
    await broker.start()
    await asyncio.wait_for(broker.ended.wait(), 10)
    assert broker.restarts == 0
    await broker.stop()


async def test_waiting_for_a_child_that_refuses_to_start_ends_at_once() -> None:
    role = child("raise SystemExit(2)", probe_url="http://127.0.0.1:1/-/ready")
    await role.start()
    with pytest.raises(SettingsError, match="role refused to start"):
        await wait_ready([role], 10)
    await role.stop()


async def test_stages_stop_one_after_the_other_and_one_that_hangs_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(agents.supervisor, "STOP_ALL_SECONDS", 2.5)
    deaf = tmp_path / "deaf"
    hangs, ends = child(IGNORES_SIGTERM, str(deaf)), child(SLEEPS)
    for role in (hangs, ends):
        await role.start()
    await until(deaf.exists)
    started = time.monotonic()
    await stop_in_order([[hangs], [ends]])
    assert time.monotonic() - started < 3
    assert hangs.process is not None
    assert hangs.process.returncode == -signal.SIGKILL
    assert ends.process is not None
    assert ends.process.returncode == -signal.SIGTERM


def test_children_die_with_their_parent_even_when_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from agents.supervisor import Child\n"
        "async def main():\n"
        "    role = Child('role', [sys.executable, '-c', 'import time; time.sleep(60)'], {})\n"
        "    await role.start()\n"
        "    print(role.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        role = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    role.wait(10)

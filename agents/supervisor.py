"""Child processes that are kept alive: what `driftline up` is made of.

A role that dies is started again; stopping goes in the order that the data flows, so that what was accepted
still gets through. Children die with their parent, also when the parent is killed.
"""

import asyncio
import ctypes
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import structlog

from agents.probes import PROCESS_HEADER
from agents.settings import SettingsError

log = structlog.get_logger()

RESTART_FIRST_SECONDS = 0.3
RESTART_LAST_SECONDS = 10.0
# A child that lived this long had started well: its next death is a first one again.
STEADY_SECONDS = 30.0
STOP_SECONDS = 4.0
# All children together: a SIGTERM to `up` ends it within ten seconds.
STOP_ALL_SECONDS = 9.0
# What the command line says when the operator has to change something: starting again does not help.
_USAGE_EXIT = 2
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """One child process that should always be there.

    name: for people. command: argv. environ: its whole environment. probe_url: its `/-/ready`, empty = none.
    restart: start it again when it dies. ended: set once it has died and is not started again.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    probe_url: str = ""
    restart: bool = True
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    _keeper: asyncio.Task[None] | None = None
    _stopping: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start it and keep it alive until `stop`."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=self.name)

    async def _spawn(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            env=dict(self.environ),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal reaches us alone, and we stop them in order
            preexec_fn=_die_with_parent,
        )

    async def _keep(self) -> None:
        delay = RESTART_FIRST_SECONDS
        while True:
            started = time.monotonic()
            assert self.process is not None
            code = await self.process.wait()
            if self._stopping:
                return
            if not self.restart:
                self.ended.set()
                return
            self.restarts += 1
            if time.monotonic() - started > STEADY_SECONDS:
                delay = RESTART_FIRST_SECONDS
            log.warning("a role died and is started again", child=self.name, exit_code=code, in_seconds=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RESTART_LAST_SECONDS)
            if self._stopping:
                return
            await self._spawn()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to stop, and insist after `seconds`."""
        self._stopping = True
        process = self.process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                log.warning("a role did not stop in time and is killed", child=self.name)
                process.kill()
                await process.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    async def why_not_ready(self, session: aiohttp.ClientSession) -> str | None:
        """None = ready; otherwise the reason in its own words.

        Raises:
            SettingsError: it refused to start, having said why on stderr.
        """
        if self.process is not None and self.process.returncode == _USAGE_EXIT:
            raise SettingsError(f"{self.name} refused to start")
        if self.process is None or self.process.returncode is not None:
            return "not running"
        if not self.probe_url:
            return None
        try:
            async with session.get(self.probe_url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                if answer.headers.get(PROCESS_HEADER) != str(self.process.pid):
                    return "another process answers in its place"
                return None if answer.status == 200 else (await answer.text()).strip()
        except (aiohttp.ClientError, TimeoutError):
            return "does not answer yet"


async def wait_ready(children: Sequence[Child], seconds: float) -> None:
    """Return when every child is ready.

    Raises:
        TimeoutError: names the ones that are not, with their reasons.
        SettingsError: one of them refused to start.
    """
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while True:
            reasons = {child.name: await child.why_not_ready(session) for child in children}
            waiting = {name: reason for name, reason in reasons.items() if reason}
            if not waiting:
                return
            if time.monotonic() > deadline:
                text = "; ".join(f"{name}: {reason}" for name, reason in waiting.items())
                raise TimeoutError(f"not ready after {seconds:.0f} s: {text}")
            await asyncio.sleep(0.2)


async def stop_in_order(stages: Sequence[Sequence[Child]]) -> None:
    """Stop stage after stage, the children of one stage together; one that hangs leaves time for the others."""
    deadline = time.monotonic() + STOP_ALL_SECONDS
    for place, stage in enumerate(stages):
        later = len(stages) - place - 1
        seconds = min(STOP_SECONDS, deadline - later - time.monotonic())
        await asyncio.gather(*(child.stop(max(0.1, seconds)) for child in stage))


def driftline_command(*arguments: str) -> list[str]:
    """The argv that runs another `driftline` of this installation."""
    return [sys.executable, "-m", "agents.cli.main", *arguments]

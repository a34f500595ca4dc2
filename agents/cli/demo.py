"""`driftline demo`: seven simulated days, then live traffic, then a regression, and the alert that it causes."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agents.budget_files import BudgetPublisher
from agents.changes import write_changes
from agents.cli.output import ExitCode, fail
from agents.cli.up import announce_ready, overrides_of, webhook_receiver, with_fewer_partitions
from agents.demo.deployments import SERVICE, deployment, usual_deployments
from agents.demo.live import Regression, send_live
from agents.demo.receiver import Receiver
from agents.demo.timelapse import Services, play_history
from agents.demo.traffic import create_services
from agents.logs import configure_logs
from agents.probes import start_server
from agents.process import run_interruptible
from agents.settings import load_settings, parse_duration_ms
from agents.stack import Stack, create_stack, free_port, lock_data_dir

# The sender is on this machine: nothing arrives late.
EVALUATION_DELAY = "2s"
# Prometheus' own default; live traffic comes more often, so that the alert comes sooner.
HISTORY_INTERVAL_MS = 60_000
LIVE_INTERVAL_MS = 5_000
# A step's five-minute window that holds 16 s of slow requests has a p95 beyond its limit; it fires 30 s later.
LEAD_MS = 2_000
SLOWDOWN = 10.0

say = Console(stderr=True, highlight=False, soft_wrap=True)


# Driftline runs from its checkout or its image: the examples stand beside the packages in both.
EXAMPLE_BUDGETS = Path(__file__).resolve().parents[2] / "examples" / "budgets"


async def _play(stack: Stack, services: Services, history_ms: int, rng: np.random.Generator) -> int:
    """The simulated days, then the minutes that went by meanwhile; the time of the last sample, Unix ms."""
    end_ms = int(time.time() * 1000)
    start_ms = end_ms - history_ms
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=say) as progress:
        task = progress.add_task(f"{history_ms / 86_400_000:g} simulated days through the log", total=1.0)
        last_ms = await play_history(
            stack.settings,
            services,
            start_ms,
            end_ms,
            rng,
            lambda done: progress.update(task, completed=done),
            HISTORY_INTERVAL_MS,
        )
    for interval_ms in (HISTORY_INTERVAL_MS, LIVE_INTERVAL_MS):
        now_ms = int(time.time() * 1000)
        last_ms = await play_history(stack.settings, services, last_ms, now_ms, rng, interval_ms=interval_ms)
    return last_ms


async def _until_before_a_step(step_ms: int) -> None:
    """Wait for a good moment to get slower: the next step must see enough slow requests to say so."""
    now_ms = time.time() * 1000
    await asyncio.sleep((step_ms - LEAD_MS - now_ms) % step_ms / 1000)


async def _first_alert(receiver: Receiver, ready_at: float) -> None:
    event, body = await receiver.first
    say.print(f"[bold red]alert[/] {time.monotonic() - ready_at:.0f} s after ready: {event.annotations.summary}")
    say.print("the webhook's body:")
    print(json.dumps(json.loads(body), indent=2), flush=True)  # noqa: T201  the command's output


@asynccontextmanager
async def _receiver() -> AsyncIterator[tuple[Receiver, str]]:
    """A receiver that listens, and its address."""
    receiver = Receiver()
    listen = f"127.0.0.1:{free_port()}"
    server = await start_server(receiver.create_app(), listen)
    try:
        yield receiver, f"http://{listen}/"
    finally:
        await server.cleanup()


@asynccontextmanager
async def _published_budgets(stack: Stack) -> AsyncIterator[None]:
    """The example budgets, in force since before the history began."""
    publisher = BudgetPublisher(stack.settings, [EXAMPLE_BUDGETS], effective_at_ms=0)
    await publisher.start()
    try:
        yield
    finally:
        await publisher.stop()


async def _run(data_dir: Path, overrides: dict[str, Any], history_ms: int) -> None:
    async with _receiver() as (receiver, address):
        overrides["notifier"] = {"receivers": [webhook_receiver(address, data_dir)]}
        overrides["evaluation_delay"] = EVALUATION_DELAY
        settings = with_fewer_partitions(load_settings(overrides=overrides, environ={}), overrides)
        stack = create_stack(settings, None, overrides)
        try:
            await stack.start_broker()
            async with _published_budgets(stack):
                await _show(stack, receiver, history_ms)
        finally:
            await stack.stop()


async def _show(stack: Stack, receiver: Receiver, history_ms: int) -> None:
    """History, live traffic, regression; goes on until it is cancelled."""
    for role in ("worker", "notifier", "web"):
        await stack.start_role(role)
    await stack.wait_ready()
    say.print(f"page: http://{stack.settings.web.listen}/")
    regression = Regression(SLOWDOWN)
    services = create_services(regression)
    rng = np.random.default_rng(7)
    now_ms, step_ms = int(time.time() * 1000), stack.settings.step
    await write_changes(stack.settings, *usual_deployments(now_ms - history_ms, now_ms, step_ms))
    last_ms = await _play(stack, services, history_ms, rng)
    await stack.start_role("ingest")
    await stack.wait_ready()
    url = f"http://{stack.settings.ingest.listen}/api/v1/write"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send_live(services, url, LIVE_INTERVAL_MS / 1000, rng, last_ms), name="live traffic")
        tasks.create_task(stack.keep_broker(), name="broker's keeper")
        await _until_before_a_step(step_ms)
        announce_ready(stack)
        ready_at = time.monotonic()
        regression.starts_at = time.time()
        release = deployment("2.4.1", int(regression.starts_at * 1000), step_ms, "the slow one")
        await write_changes(stack.settings, release)
        say.print(
            f"live traffic; {SERVICE} {release.version} is deployed, and {SLOWDOWN:g} times slower"
            " (Ctrl-C ends the demonstration)"
        )
        tasks.create_task(_first_alert(receiver, ready_at), name="first alert")


def demo(
    history: Annotated[str, typer.Option(help="How much simulated history runs through the log first.")] = "7d",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept; a temporary directory otherwise.")
    ] = None,
    ingest_listen: Annotated[str | None, typer.Option(help="Address of the remote-write endpoint.")] = None,
    web_listen: Annotated[str | None, typer.Option(help="Address of the page and the API.")] = None,
) -> None:
    """Show the whole product in a few minutes: history, live traffic, a regression, its alert."""
    try:
        history_ms = parse_duration_ms(history)
    except ValueError as error:
        fail(f"--history: {error}", ExitCode.USAGE)
    configure_logs("console", "demo")
    with tempfile.TemporaryDirectory(prefix="driftline-demo-") as temporary:
        directory = data_dir or Path(temporary)
        if (directory / "log").exists():
            fail(f"--data-dir {directory} has a history already: the demonstration needs a new one", ExitCode.USAGE)
        overrides = overrides_of(
            data_dir=directory, kafka=None, ingest_listen=ingest_listen, web_listen=web_listen, step=None
        )
        with lock_data_dir(directory):
            asyncio.run(run_interruptible(_run(directory, overrides, history_ms), "demo"))

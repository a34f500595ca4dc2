"""`driftline ingest|worker|notifier|web|broker`: one role in this process."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated

import typer

from agents.logs import configure_logs
from agents.settings import Settings, load_settings

Config = Annotated[Path | None, typer.Option(help="Settings file.", envvar="DRIFTLINE_CONFIG")]


def _run(role: str, config: Path | None, run: Callable[[Settings], Coroutine[object, object, None]]) -> None:
    settings = load_settings(config)
    configure_logs(settings.log_format, role)
    asyncio.run(run(settings))


def ingest(config: Config = None) -> None:
    """Run the remote-write endpoint."""
    from agents.ingest.main import run_ingest  # noqa: PLC0415  a role loads only itself

    _run("ingest", config, run_ingest)


def worker(config: Config = None) -> None:
    """Run a worker: samples to indicators to alert events."""
    from agents.worker.main import run_worker  # noqa: PLC0415

    _run("worker", config, run_worker)


def notifier(config: Config = None) -> None:
    """Run the notifier: alert events to receivers."""
    from agents.notifier.main import run_notifier  # noqa: PLC0415

    _run("notifier", config, run_notifier)


def web(
    config: Config = None,
    budgets: Annotated[
        list[Path] | None, typer.Option("--budgets", help="Publish the budgets of this file or directory.")
    ] = None,
) -> None:
    """Run the API and the status page; with --budgets also the one publisher of budget files."""
    from agents.budget_files import BudgetPublisher  # noqa: PLC0415
    from agents.web.main import run_web  # noqa: PLC0415

    async def run(settings: Settings) -> None:
        publisher = BudgetPublisher(settings, budgets) if budgets else None
        parts = [asyncio.create_task(run_web(settings, publisher), name="web")]
        if publisher is not None:
            parts.append(asyncio.create_task(publisher.run(), name="budget files"))
        # Whichever ends first ends the role: web when it is told to, the publisher when its files are wrong.
        done, others = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if publisher is not None:
            await publisher.stop()
        for part in done:
            part.result()

    _run("web", config, run)


def broker(config: Config = None) -> None:
    """Run the embedded broker (what `up` does when no Kafka is given)."""
    from agents.kafka.embedded import run_embedded_broker  # noqa: PLC0415

    _run("broker", config, run_embedded_broker)

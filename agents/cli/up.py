"""`driftline up`: every role on this machine, with an embedded broker and SQLite, or with your Kafka."""

import asyncio
import base64
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.budget_files import load_budget_paths
from agents.cli.output import ExitCode, fail
from agents.kafka.admin import create_topics
from agents.logs import configure_logs
from agents.process import run_interruptible
from agents.settings import Settings, load_settings
from agents.stack import Stack, create_stack, lock_data_dir

EMBEDDED_PARTITIONS = 4


def webhook_receiver(url: str, data_dir: Path) -> dict[str, Any]:
    """A receiver that gets every alert; its signing secret is made once and kept in the data directory."""
    secret = data_dir / "webhook.secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n", encoding="ascii")
    return {
        "name": "webhook",
        "type": "webhook",
        "url": url,
        "secret_file": str(secret.absolute()),
        "severities": ["info", "warning", "critical"],
    }


def overrides_of(
    *,
    data_dir: Path | None,
    kafka: str | None,
    ingest_listen: str | None,
    web_listen: str | None,
    step: str | None,
    insecure_listen: bool = False,
) -> dict[str, Any]:
    """The command line's options as settings; what was not given stays out."""
    overrides: dict[str, Any] = {}
    if data_dir is not None:
        overrides["data_dir"] = str(data_dir)
    if kafka is not None:
        overrides["kafka"] = {"bootstrap": kafka}
    if step is not None:
        overrides["step"] = step
    for role, listen in (("ingest", ingest_listen), ("web", web_listen)):
        section: dict[str, Any] = {} if listen is None else {"listen": listen}
        if insecure_listen:
            section["insecure_listen"] = "true"
        if section:
            overrides[role] = section
    return overrides


def announce_ready(stack: Stack) -> None:
    """The one line that says that everything works, and where."""
    settings = stack.settings
    print(  # noqa: T201  the command's output
        f"ready ingest=http://{settings.ingest.listen}/api/v1/write web=http://{settings.web.listen}"
        f" kafka={settings.kafka.bootstrap} data={settings.data_dir}",
        flush=True,
    )


async def start_everything(stack: Stack, *, embedded: bool) -> None:
    """The log, its topics, and every role; returns when all are ready."""
    if embedded:
        await stack.start_broker()
    await create_topics(stack.settings)
    for role in ("web", "worker", "notifier"):
        await stack.start_role(role)
    # The web role has published the budgets when it is ready: from the first sample on, ingest knows what is needed.
    await stack.wait_ready("web")
    await stack.start_role("ingest")
    await stack.wait_ready()


async def _run(stack: Stack, *, embedded: bool) -> None:
    try:
        await start_everything(stack, embedded=embedded)
        announce_ready(stack)
        await stack.keep_broker()
    finally:
        await stack.stop()


def with_fewer_partitions(settings: Settings, overrides: dict[str, Any]) -> Settings:
    """The embedded broker's partitions are counted in megabytes: few are enough for one machine."""
    if "partitions" in settings.kafka.model_fields_set:
        return settings
    overrides.setdefault("kafka", {})["partitions"] = str(EMBEDDED_PARTITIONS)
    kafka = settings.kafka.model_copy(update={"partitions": EMBEDDED_PARTITIONS})
    return settings.model_copy(update={"kafka": kafka})


def up(
    paths: Annotated[list[Path] | None, typer.Argument(help="Further budget files or directories.")] = None,
    budgets: Annotated[
        list[Path] | None, typer.Option("--budgets", help="A budget file or a directory of them.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file.", envvar="DRIFTLINE_CONFIG")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    kafka: Annotated[
        str | None, typer.Option(help="HOST:PORT[,…] of a Kafka cluster; without it the embedded broker runs.")
    ] = None,
    ingest_listen: Annotated[str | None, typer.Option(help="Address of the remote-write endpoint.")] = None,
    web_listen: Annotated[str | None, typer.Option(help="Address of the page and the API.")] = None,
    webhook: Annotated[str | None, typer.Option(help="A URL that gets every alert.")] = None,
    step: Annotated[str | None, typer.Option(help="Evaluation step, 1s to 5m.")] = None,
    insecure_listen: Annotated[bool, typer.Option(help="Listen beyond loopback without authentication.")] = False,
) -> None:
    """Run every role on this machine until SIGTERM."""
    overrides = overrides_of(
        data_dir=data_dir,
        kafka=kafka,
        ingest_listen=ingest_listen,
        web_listen=web_listen,
        step=step,
        insecure_listen=insecure_listen,
    )
    settings = load_settings(config, overrides=overrides)
    all_paths = [*(budgets or []), *(paths or [])]
    if not all_paths:
        fail("no budgets: give a file or a directory, such as --budgets examples/budgets", ExitCode.USAGE)
    load_budget_paths(all_paths, settings.step)  # a wrong file must stop here, not after the start
    configure_logs(settings.log_format, "up")
    embedded = "bootstrap" not in settings.kafka.model_fields_set
    if embedded:
        settings = with_fewer_partitions(settings, overrides)
    with lock_data_dir(settings.data_dir):
        if webhook is not None:
            receivers = [
                receiver.model_dump(mode="json", exclude_defaults=True) for receiver in settings.notifier.receivers
            ]
            overrides["notifier"] = {"receivers": [*receivers, webhook_receiver(webhook, settings.data_dir)]}
        stack = create_stack(settings, config, overrides, all_paths)
        asyncio.run(run_interruptible(_run(stack, embedded=embedded), "up"))

"""`driftline topics create|list`: the topics of an installation, declared explicitly and idempotently.

Kafka that does not answer ends the command with exit code 4, in `main`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agents.cli.output import Output, console, print_json
from agents.kafka.admin import TopicState, create_topics, list_topics
from agents.logs import configure_logs
from agents.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Declare or list the topics that Driftline reads and writes.")

Config = Annotated[Path | None, typer.Option(help="Settings file.", envvar="DRIFTLINE_CONFIG")]
Kafka = Annotated[str | None, typer.Option(help="HOST:PORT[,…] of the cluster; otherwise as the settings say.")]
Format = Annotated[Output, typer.Option(help="How to print them.")]


def _settings(config: Path | None, kafka: str | None) -> Settings:
    settings = load_settings(config, overrides={"kafka": {"bootstrap": kafka}} if kafka else None)
    configure_logs(settings.log_format, "topics")
    return settings


def _row(state: TopicState) -> dict[str, object]:
    return {
        "name": state.name,
        "exists": state.partitions > 0,
        "partitions": state.partitions,
        "wanted_partitions": state.wanted_partitions,
        "key": state.topic.key,
        "value": state.topic.value,
        "config": dict(state.config),
        "declared_config": state.topic.config(),
    }


def _table(states: Sequence[TopicState]) -> Table:
    table = Table("topic", "partitions", "cleanup", "key", "value", box=None, header_style="bold")
    for state in states:
        count = str(state.partitions) if state.partitions else "[bold red]missing[/]"
        if state.partitions and state.partitions != state.wanted_partitions:
            count += f" [yellow](settings: {state.wanted_partitions})[/]"
        table.add_row(state.name, count, state.topic.cleanup, state.topic.key, state.topic.value)
    return table


def _print(settings: Settings, output: Output) -> None:
    states = asyncio.run(list_topics(settings))
    if output is Output.JSON:
        print_json({"items": [_row(state) for state in states]})
    else:
        console.print(_table(states))


@app.command("create")
def create(config: Config = None, kafka: Kafka = None, output: Format = Output.TABLE) -> None:
    """Make what is missing and bring configurations to what is declared; safe to repeat."""
    settings = _settings(config, kafka)
    asyncio.run(create_topics(settings))
    _print(settings, output)


@app.command("list")
def list_(config: Config = None, kafka: Kafka = None, output: Format = Output.TABLE) -> None:
    """Print every declared topic as it stands on the cluster."""
    _print(_settings(config, kafka), output)

"""`driftline`: the one command. Finds a subcommand, loads it and nothing else, and turns errors into exit codes.

A role's process must not pay for what the others import, and `driftline check` in a CI step should start at
once, so a subcommand's module is imported only when it is the one that was asked for.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from typing import Annotated

import typer

from agents.cli.output import ExitCode, people

# name -> the module of `agents.cli` that holds its function, or its `app` with commands of its own.
COMMANDS = {
    "up": "up",
    "demo": "demo",
    "check": "check",
    "monitor": "check",
    "explain": "explain",
    "backtest": "backtest",
    "budgets": "budgets",
    "baseline": "baseline",
    "topics": "topics",
    "ingest": "roles",
    "worker": "roles",
    "notifier": "roles",
    "web": "roles",
    "broker": "roles",
}
# `up` starts it; nobody else needs to.
_HIDDEN = frozenset({"broker"})


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"driftline {metadata.version('driftline')}")
        raise typer.Exit


def _callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Watch services' performance budgets on the stream and find regressions while they happen."""


def create_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these subcommands."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.callback()(_callback)
    for name in names:
        module = import_module(f"agents.cli.{COMMANDS[name]}")
        if hasattr(module, name):
            app.command(name, hidden=name in _HIDDEN)(getattr(module, name))
        else:
            app.add_typer(module.app, name=name)
    return app


def _asked_for(arguments: Sequence[str]) -> Iterable[str]:
    """The subcommand of a command line; all of them for help, completion and misspellings."""
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is None and "--version" in arguments:
        return ()
    return [first] if first in COMMANDS else COMMANDS


def _exit_code_of(error: Exception) -> ExitCode | None:
    """The exit code of an error that is not ours; None = it is, and deserves its traceback."""
    from agents.settings import SettingsError  # noqa: PLC0415  only a failure has to pay for these imports
    from budgets.spec.errors import BudgetError  # noqa: PLC0415

    if isinstance(error, SettingsError | BudgetError):
        return ExitCode.USAGE
    # Named, not imported: most commands never load a Kafka client. TimeoutError: a role of `up` did not get ready.
    if isinstance(error, TimeoutError) or type(error).__name__ == "KafkaConnectionError":
        return ExitCode.UNREACHABLE
    return None


def main() -> None:
    """Entry point of the `driftline` command."""
    try:
        create_app(_asked_for(sys.argv[1:]))(prog_name="driftline")
    except Exception as error:  # what nobody below could handle ends here
        code = _exit_code_of(error)
        if code is None:
            raise
        text = str(error.args[0]) if error.args else type(error).__name__
        people.print(text, style="red", markup=False)
        sys.exit(code)


if __name__ == "__main__":
    main()

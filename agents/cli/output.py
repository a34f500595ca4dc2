"""What every command says and how it ends: exit codes, the two output streams, JSON for programs.

Data goes to stdout, text for people to stderr, so that `driftline … --output json | jq` always works. No command
prints or exits in another way.
"""

import json
import os
import sys
from enum import IntEnum, StrEnum
from typing import Never

import typer
from rich.console import Console

# A table that is piped into a file or a CI log has no screen to fit.
_PIPED_WIDTH = 160


class ExitCode(IntEnum):
    """What a shell or a CI step can rely on. 0 is never given when nothing was evaluated."""

    PASS = 0
    GATE_FAILED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    UNREACHABLE = 4
    LOAD_TOOL = 5


class Output(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


def _create_console() -> Console:
    on_screen = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if on_screen else _PIPED_WIDTH)


console = _create_console()
"""Data for people's eyes, on stdout."""

people = Console(stderr=True, highlight=False, soft_wrap=True)
"""Everything that is not the result, on stderr."""


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def fail(message: str, code: ExitCode) -> Never:
    """End the command with `message` on stderr."""
    people.print(message, style="red", markup=False)
    raise typer.Exit(code)

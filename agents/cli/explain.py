"""`driftline explain`: why an alert fired, and why another one did not, in words and numbers."""

import asyncio
import re
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
import typer
from rich.table import Table
from rich.text import Text

from agents.cli.check import DEFAULT_URL, URL_HELP
from agents.cli.output import ExitCode, Output, console, fail, print_json
from budgets.quantity import format_change, format_duration, format_value

_FINGERPRINT = re.compile("[0-9a-f]{16}")
_MARK = {True: ("yes", "green"), False: ("no", "red"), None: ("?", "yellow")}

Document = dict[str, Any]


async def fetch_document(url: str, path: str) -> tuple[int, Document]:
    """(status, document) of one path of the API.

    Raises:
        aiohttp.ClientError: not reachable, or not a Driftline.
    """
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url.rstrip("/") + path) as answer:
        return answer.status, await answer.json(content_type=None)


def explain(
    subject: Annotated[
        str, typer.Argument(metavar="FINGERPRINT|INDICATOR", help="An alert's fingerprint, or an indicator's id.")
    ],
    url: Annotated[str, typer.Option(envvar="DRIFTLINE_URL", help=URL_HELP)] = DEFAULT_URL,
    output: Annotated[Output, typer.Option(help="How to print it.")] = Output.TABLE,
) -> None:
    """Say why an alert fired, or why an indicator does not alarm: each condition, its value and its threshold."""
    is_alert = _FINGERPRINT.fullmatch(subject) is not None
    path = f"/api/v1/alerts/{subject}" if is_alert else f"/api/v1/indicators/{quote(subject, safe='/')}/explanation"
    try:
        status, document = asyncio.run(fetch_document(url, path))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fail(f"{url}: {str(error) or 'no answer'}", ExitCode.UNREACHABLE)
    if status == 404:
        # An alert or an indicator that is not there, or one that nothing is known of: nothing was evaluated.
        fail(str(document.get("detail", "not found")), ExitCode.INCONCLUSIVE)
    if status != 200:
        fail(f"{url}: {status}: {document.get('detail', '')}", ExitCode.UNREACHABLE)
    if output is Output.JSON:
        print_json(document)
    elif is_alert:
        _print_alert(document)
    else:
        _print_indicator(document)


def _quantity(condition: Document, name: str) -> str:
    value, unit = condition[name], condition["unit"]
    if value is None:
        return "-"
    if condition["need"] in {"persistence", "rung", "data"} and unit == "ms":
        return format_duration(round(value))
    if condition["need"] in {"size", "significance"} and unit == "ratio":
        return format_change(value)
    return format_value(value, unit)


def _conditions(conditions: list[Document]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 2))
    for column in ("holds", "what", "value", "threshold", "in words"):
        table.add_column(column, overflow="fold")
    for condition in conditions:
        word, style = _MARK[condition["holds"]]
        value, threshold = _quantity(condition, "value"), _quantity(condition, "threshold")
        table.add_row(Text(word, style=style), condition["name"], value, threshold, Text(condition["text"]))
    return table


def _print_alert(document: Document) -> None:
    """Every transition with what stood behind it, then what holds now."""
    for explanation in document["explanations"]:
        console.print(f"{explanation['at']} {explanation['transition']}", style="bold", markup=False)
        console.print(Text(explanation["text"]))
        if explanation["conditions"]:
            console.print(_conditions(explanation["conditions"]))
    now = document["now"]
    console.print("now", style="bold")
    if now is None:
        console.print("Nothing was told about this indicator lately.")
    else:
        _print_kind(now)


def _print_kind(kind: Document) -> None:
    console.print(Text(kind["text"]))
    console.print(_conditions(kind["conditions"]))


def _print_indicator(document: Document) -> None:
    console.print(Text(f"{document['at']} {document['text']}"))
    for kind in document["kinds"]:
        console.print()
        console.print(f"{kind['kind']}: {kind['status']}", style="bold", markup=False)
        _print_kind(kind)

"""`driftline check SERVICE` and `driftline monitor`: budgets against what is measured now, with an exit code.

A pass means that every indicator was judged and none is beyond its limit. What could not be judged is never a
pass: exit code 3 says so.
"""

import asyncio
import time
from typing import Annotated, Any

import aiohttp
import typer
from rich.table import Table

from agents.cli.output import ExitCode, Output, console, fail, print_json

URL_HELP = "Address of a running Driftline."
DEFAULT_URL = "http://127.0.0.1:9798"
_STYLE = {"ok": "green", "warning": "yellow", "critical": "bold red", "no_data": "magenta", "stale": "magenta"}
_UNJUDGED = frozenset({"no_data", "stale", "low_traffic"})

Indicator = dict[str, Any]


async def fetch_items(url: str, path: str, params: dict[str, str]) -> list[Indicator]:
    """Every item of a list of the API, page by page.

    Raises:
        aiohttp.ClientError: not reachable, or not a Driftline.
    """
    items: list[Indicator] = []
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            async with session.get(url.rstrip("/") + path, params=params) as answer:
                answer.raise_for_status()
                page = await answer.json()
            items += page["items"]
            if not page["next"]:
                return items
            params = {**params, "cursor": page["next"]}


def verdict_of(indicators: list[Indicator]) -> ExitCode:
    """What the states come to, the worst first."""
    states = {indicator["state"] for indicator in indicators}
    if "critical" in states:
        return ExitCode.GATE_FAILED
    if not states or states & _UNJUDGED:
        return ExitCode.INCONCLUSIVE
    return ExitCode.PASS


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "ratio":
        return f"{value * 100:.3g} %"
    return f"{value:.4g} {unit}"


def _table(indicators: list[Indicator]) -> Table:
    table = Table("service", "indicator", "value", "limit", "state", box=None, header_style="bold")
    for item in indicators:
        state = item["state"]
        name = item["id"].removeprefix(item["service"] + "/")
        style = _STYLE.get(state, "")
        table.add_row(
            item["service"],
            name,
            _number(item["value"], item["unit"]),
            _number(item.get("limit"), item["unit"]),
            f"[{style}]{state.replace('_', ' ')}[/]" if style else state,
        )
    return table


def _print(indicators: list[Indicator], output: Output) -> None:
    if output is Output.JSON:
        verdict = verdict_of(indicators)
        print_json({"verdict": verdict.name.lower(), "items": indicators})
    else:
        console.print(_table(indicators))


def _fetch(url: str, params: dict[str, str]) -> list[Indicator]:
    try:
        return asyncio.run(fetch_items(url, "/api/v1/indicators", params))
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"{url}: {str(error) or 'no answer'}", ExitCode.UNREACHABLE)


def check(
    service: Annotated[str, typer.Argument(help="The service, as in its budget.")],
    url: Annotated[str, typer.Option(envvar="DRIFTLINE_URL", help=URL_HELP)] = DEFAULT_URL,
    output: Annotated[Output, typer.Option(help="How to print it.")] = Output.TABLE,
) -> None:
    """Compare one service with its budget: exit 0 within it, 1 broken, 3 not enough data to say."""
    indicators = _fetch(url, {"service": service})
    if not indicators:
        fail(f"{service}: no budget of this name is in force at {url}", ExitCode.USAGE)
    _print(indicators, output)
    raise typer.Exit(verdict_of(indicators))


def monitor(
    url: Annotated[str, typer.Option(envvar="DRIFTLINE_URL", help=URL_HELP)] = DEFAULT_URL,
    output: Annotated[Output, typer.Option(help="How to print it.")] = Output.TABLE,
    watch: Annotated[bool, typer.Option(help="Repeat every --interval seconds until interrupted.")] = False,
    interval: Annotated[float, typer.Option(min=1.0, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Compare every service with its budget; exit codes as `check`."""
    while True:
        indicators = _fetch(url, {})
        _print(indicators, output)
        if not watch:
            raise typer.Exit(verdict_of(indicators))
        time.sleep(interval)

"""`driftline baseline create|update|show SERVICE`: what is usual, who said so, and how to say it.

All of it goes through the API of a running Driftline; `--prometheus` reads what a Prometheus remembers of the
indicator's own expression, so that a new installation need not wait for a week.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
import typer
from rich.table import Table

from agents.cli.backtest_past import fetch_columns
from agents.cli.budgets import number_text
from agents.cli.check import DEFAULT_URL, URL_HELP, fetch_items
from agents.cli.output import ExitCode, Output, console, fail, people, print_json
from agents.prometheus import MAX_POINTS, PrometheusClient, QueryError, UnreachableError
from agents.settings import parse_duration_ms
from streams.frame import split_point_id
from streams.query import Query

app = typer.Typer(
    no_args_is_help=True, help="Show baselines, make them, accept the present level, pin them to a release."
)

Service = Annotated[str, typer.Argument(help="The service, as in its budget.")]
Indicator = Annotated[str | None, typer.Option(help="Only this indicator, such as response_time_p95. Default: all.")]
Url = Annotated[str, typer.Option(envvar="DRIFTLINE_URL", help=URL_HELP)]
Printed = Annotated[Output, typer.Option(help="How to print it.")]
Note = Annotated[str, typer.Option(help="Why, for the audit trail.")]

_SHORTEST_STEP_MS, _LONGEST_STEP_MS = 60_000, 300_000
_TIMEOUT = aiohttp.ClientTimeout(total=60)

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an order about one indicator was not taken. inconclusive: too little is known."""

    indicator: str
    detail: str
    inconclusive: bool


class _NotTakenError(Exception):
    """The API did not take anything that came: not reachable, or no Driftline."""


async def _indicators(url: str, service: str, indicator: str | None) -> list[Item]:
    """The baselines of a service, or of one of its indicators with all its groups."""
    items = await fetch_items(url, "/api/v1/baselines", {"service": service})
    return [item for item in items if indicator is None or item["id"].partition("{")[0] == f"{service}/{indicator}"]


def _find(url: str, service: str, indicator: str | None) -> list[Item]:
    try:
        items = asyncio.run(_indicators(url, service, indicator))
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"{url}: {str(error) or 'no answer'}", ExitCode.UNREACHABLE)
    if not items:
        what = f"{service}/{indicator}" if indicator else service
        fail(f"{what}: no budget of this name is in force at {url}", ExitCode.USAGE)
    return items


async def _give(session: aiohttp.ClientSession, url: str, indicator: str, order: Item) -> Item | Refused:
    path = f"{url.rstrip('/')}/api/v1/baselines/{quote(indicator, safe='')}"
    async with session.post(path, json=order) as answer:
        document = await answer.json(content_type=None)
        if answer.status < 400:
            return dict(document)
        if answer.status >= 500:
            raise _NotTakenError(f"{url}: {document.get('detail', answer.status)}")
        return Refused(indicator, str(document.get("detail", answer.status)), answer.status == 409)


async def _order_all(url: str, orders: list[tuple[str, Item]]) -> list[Item | Refused]:
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        return [await _give(session, url, indicator, order) for indicator, order in orders]


def _finish(url: str, orders: list[tuple[str, Item]], output: Output, missing: list[Refused]) -> None:
    """Give the orders, print what came of them, end with the exit code that says it."""
    try:
        answers = [*asyncio.run(_order_all(url, orders)), *missing]
    except (aiohttp.ClientError, TimeoutError, _NotTakenError) as error:
        fail(str(error) or f"{url}: no answer", ExitCode.UNREACHABLE)
    taken = [answer for answer in answers if not isinstance(answer, Refused)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    if output is Output.JSON:
        print_json({"items": taken})
    else:
        for version in taken:
            console.print(f"{version['indicator']}: version {version['version']}, {_about(version)}", markup=False)
    for answer in refused:
        people.print(answer.detail, style="yellow", markup=False)
    if any(not answer.inconclusive for answer in refused):
        raise typer.Exit(ExitCode.USAGE)
    if refused or not taken:
        raise typer.Exit(ExitCode.INCONCLUSIVE)


def _about(version: Item) -> str:
    pinned = f", pinned to {version['pinned_to']}" if version["pinned_to"] else ""
    return f"{version['action']} by {version['by']} at {version['at']}{pinned}"


@app.command()
def create(
    service: Service,
    indicator: Indicator = None,
    prometheus: Annotated[
        str | None, typer.Option(help="A Prometheus that remembers; default: what Driftline has.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back to look; two weeks and more know the weekdays.")] = "7d",
    pin: Annotated[str | None, typer.Option(help="Pin it to this release.")] = None,
    note: Note = "",
    url: Url = DEFAULT_URL,
    output: Printed = Output.TABLE,
) -> None:
    """Make baselines from what was measured: exit 0 made, 3 too few values to say what is usual."""
    try:
        since_ms = parse_duration_ms(since)
    except ValueError as error:
        fail(f"--since: {error}", ExitCode.USAGE)
    items = _find(url, service, indicator)
    now_ms = int(time.time() * 1000)
    common: Item = {"action": "create", "release": pin, "note": note}
    if prometheus is None:
        _finish(url, [(item["id"], {**common, "since": now_ms - since_ms}) for item in items], output, [])
        return
    queries = list({query.id: query for query in map(_query_of, items)}.values())
    recorded = _remembered(prometheus, queries, now_ms, since_ms)
    orders = [(point, {**common, "recorded": column}) for point, column in recorded.items()]
    known = {split_point_id(point)[0] for point in recorded}
    missing = [
        Refused(query.id, f"{query.id}: {prometheus} remembers nothing of {query.expr}", inconclusive=True)
        for query in queries
        if query.id not in known
    ]
    _finish(url, orders, output, missing)


def _query_of(item: Item) -> Query:
    return Query(split_point_id(item["id"])[0], item["expr"], item["weight_expr"])


def _remembered(prometheus: str, queries: list[Query], now_ms: int, since_ms: int) -> dict[str, Item]:
    """What a Prometheus remembers of indicators, point by point: as few values as give a good hour."""
    seconds = -(-since_ms // MAX_POINTS // 1000) + 1
    step_ms = min(max(_SHORTEST_STEP_MS, seconds * 1000), _LONGEST_STEP_MS)
    last_ms = now_ms // step_ms * step_ms
    first_ms = last_ms - min(since_ms // step_ms, MAX_POINTS - 1) * step_ms

    async def ask() -> dict[str, tuple[list[float | None], list[float | None]]]:
        async with aiohttp.ClientSession() as session:
            return await fetch_columns(PrometheusClient(session, prometheus), queries, first_ms, last_ms, step_ms)

    try:
        columns = asyncio.run(ask())
    except UnreachableError as error:
        fail(str(error), ExitCode.UNREACHABLE)
    except (QueryError, ValueError) as error:
        fail(str(error), ExitCode.USAGE)
    return {
        point: {"since": first_ms, "step": step_ms, "values": values, "weights": weights}
        for point, (values, weights) in sorted(columns.items())
    }


@app.command()
def update(
    service: Service,
    indicator: Indicator = None,
    pin: Annotated[str | None, typer.Option(help="Instead: let it stand still, named after a release.")] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Instead: let it go on learning.")] = False,
    note: Note = "",
    url: Url = DEFAULT_URL,
    output: Printed = Output.TABLE,
) -> None:
    """Accept the present level as the usual one: its regression resolves."""
    if pin is not None and unpin:
        fail("--pin and --unpin: expected one of them", ExitCode.USAGE)
    action = "pin" if pin is not None else "unpin" if unpin else "update"
    order = {"action": action, "release": pin, "note": note}
    _finish(url, [(item["id"], order) for item in _find(url, service, indicator)], output, [])


@app.command()
def show(
    service: Service,
    indicator: Indicator = None,
    url: Url = DEFAULT_URL,
    output: Printed = Output.TABLE,
) -> None:
    """Show what is usual, and which version stands in the books; exit 3 where nothing is known yet."""
    items = _find(url, service, indicator)
    if output is Output.JSON:
        print_json({"items": items})
    else:
        console.print(_table(items))
    if any(item["expected"] is None for item in items):
        raise typer.Exit(ExitCode.INCONCLUSIVE)


def _table(items: list[Item]) -> Table:
    table = Table("indicator", "usual now", "spread", "rung", "version", box=None, header_style="bold")
    for item in items:
        version = item["version"]
        spread = "-" if item["spread"] is None else f"{item['spread'] * 100:.3g} %"
        rung = f"{item['rung'] or '-'}{' of the ' + item['season'] if item['season'] else ''}"
        books = f"{version['version']}: {_about(version)}" if version else "-"
        table.add_row(item["id"], number_text(item["expected"], item["unit"]), spread, rung, books)
    return table

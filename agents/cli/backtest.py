"""`driftline backtest`: recorded values through the same Judge, with the same defaults: what would have fired.

There is nothing to tune and no option for it. Exit code 0 says that values were judged, whatever they came to: this is
no gate.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agents.budget_files import load_budget_paths
from agents.cli.backtest_files import Job, run_jobs, size_of
from agents.cli.backtest_output import Origin, episode_table, event_line
from agents.cli.backtest_past import Past, judge_past
from agents.cli.output import ExitCode, console, fail, people
from agents.prometheus import QueryError, UnreachableError
from agents.settings import SettingsError, parse_duration_ms
from budgets.event import AlertEvent, format_time
from budgets.spec.model import ServiceBudget

# Of recordings that do not say it, and of a running Driftline.
_RECORDED_STEP_MS = 60_000
_LIVE_STEP_MS = 15_000

Found = tuple[Origin, AlertEvent]


class BacktestOutput(StrEnum):
    """How events are printed."""

    TABLE = "table"
    JSONL = "jsonl"


class DirectionsOption(StrEnum):
    """Which direction is bad where no budget says it."""

    ABOVE = "above"
    BELOW = "below"
    BOTH = "both"


def backtest(
    series: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="CSV: timestamp, then a column for each indicator. More files may follow."),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]…", help="More files of --series.")] = None,
    direction: Annotated[
        DirectionsOption, typer.Option(help="Which direction is bad, for columns without a budget.")
    ] = DirectionsOption.BOTH,
    step: Annotated[
        str | None, typer.Option(help="Evaluation step; by default what the file's rows have, 15s with --from.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="A Prometheus to ask instead of files; needs --budgets.")
    ] = None,
    since: Annotated[str, typer.Option(help="With --from: how far to look back.")] = "30d",
    budgets: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Budget files; of recordings, the service is what the file is named after."),
    ] = None,
    output: Annotated[BacktestOutput, typer.Option(help="How to print what fired.")] = BacktestOutput.TABLE,
    scores: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the severity of every row, 0-1, to FILE.scores.csv.")
    ] = None,
) -> None:
    """Feed recorded values to the judge, row by row, and print what would have fired."""
    try:
        step_ms = _duration_ms("--step", step) if step is not None else None
        _check_sources(source, bool(series), bool(more or scores), bool(budgets))
        loaded = load_budget_paths(budgets or [], step_ms or (_LIVE_STEP_MS if source else _RECORDED_STEP_MS))
        if source:
            past = _past(_duration_ms("--since", since), step_ms or _LIVE_STEP_MS)
            code = _judge_prometheus(source, loaded, past, output)
        else:
            jobs = _jobs([*(series or []), *(more or [])], direction, step_ms, loaded, scores)
            code = _judge_files(jobs, output)
    except SettingsError as error:
        fail(str(error), ExitCode.USAGE)
    raise typer.Exit(code)


def _check_sources(source: str | None, has_series: bool, has_more: bool, has_budgets: bool) -> None:
    """Either recordings or a Prometheus.

    Raises:
        SettingsError: neither, or both.
    """
    if not source and not has_series:
        raise SettingsError("nothing to judge, expected --series FILE… or --from URL")
    if source and (has_series or has_more or not has_budgets):
        raise SettingsError("--from: expected --budgets beside it, and neither --series nor --scores")


def _duration_ms(option: str, text: str) -> int:
    try:
        duration_ms = parse_duration_ms(text)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from error
    if duration_ms < 1_000:
        raise SettingsError(f"{option}: expected a second at least, got {text}")
    return duration_ms


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[float], None]]:
    """A bar for people, on a terminal only; gives what to call with how much is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TimeRemainingColumn(), console=people, transient=True, disable=not people.is_terminal
    ) as progress:
        task = progress.add_task(what, total=max(1, total))
        yield lambda done: progress.update(task, completed=done)


def _print(found: Sequence[Found], output: BacktestOutput) -> None:
    if output is BacktestOutput.JSONL:
        for origin, event in found:
            typer.echo(event_line(origin, event))
    else:
        table = episode_table(found)
        if table.row_count:
            console.print(table)


def _fired(found: Iterable[Found]) -> str:
    """How many alerts of each kind."""
    kinds = Counter(event.kind for _, event in found if event.transition == "firing")
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing would have fired"


# --- recorded files --------------------------------------------------------------------------------------------------


def _jobs(
    files: Sequence[Path],
    direction: DirectionsOption,
    step_ms: int | None,
    budgets: Iterable[ServiceBudget],
    scores: Path | None,
) -> list[Job]:
    """A job for each file.

    Raises:
        SettingsError: the scores have no place to go to.
    """
    if scores is not None:
        name, count = Counter(file.name for file in files).most_common(1)[0]
        if count > 1:
            raise SettingsError(f"--scores: {count} files are named {name}, so their scores would be, too")
        try:
            scores.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"--scores: {scores}: {error.strerror}") from None
    return [Job(file, direction.value, step_ms, tuple(budgets), scores) for file in files]


def _judge_files(jobs: Sequence[Job], output: BacktestOutput) -> ExitCode:
    """Every file; events are lines as soon as a file is done, a table at the end."""
    found: list[Found] = []
    results = []
    with _bar(f"{len(jobs)} files", size_of(jobs)) as show:
        for result in run_jobs(jobs, show):
            results.append(result)
            own: list[Found] = [((result.name, row), event) for row, event in result.events]
            found += own
            if output is BacktestOutput.JSONL:
                _print(own, output)
    for result in results:
        for remark in result.remarks:
            people.print(remark, markup=False)
        if result.problem:
            people.print(result.problem, style="red", markup=False)
    if output is BacktestOutput.TABLE:
        _print(found, output)
    rows, judged = sum(result.rows for result in results), sum(result.judged for result in results)
    people.print(f"{len(results)} files, {rows} rows, {judged} values judged: {_fired(found)}", markup=False)
    if any(result.problem for result in results):
        return ExitCode.USAGE
    return ExitCode.PASS if judged else ExitCode.INCONCLUSIVE


# --- a Prometheus ----------------------------------------------------------------------------------------------------


def _past(since_ms: int, step_ms: int) -> Past:
    last_ms = int(time.time() * 1000) // step_ms * step_ms
    return Past((last_ms - since_ms) // step_ms * step_ms, last_ms, step_ms)


def _judge_prometheus(url: str, budgets: Sequence[ServiceBudget], past: Past, output: BacktestOutput) -> ExitCode:
    try:
        with _bar(f"{format_time(past.first_ms)[:10]} until now", len(past.pieces)) as show:
            judged = asyncio.run(judge_past(url, budgets, past, show))
    except UnreachableError as error:
        fail(str(error), ExitCode.UNREACHABLE)
    except QueryError as error:
        fail(str(error), ExitCode.USAGE)
    found: list[Found] = [((), event) for event in judged.events]
    _print(found, output)
    since = format_time(judged.first_ms if judged.first_ms is not None else past.first_ms)
    people.print(f"{judged.steps} steps since {since}, {judged.values} values judged: {_fired(found)}", markup=False)
    return ExitCode.PASS if judged.values else ExitCode.INCONCLUSIVE

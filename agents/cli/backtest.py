"""`driftline backtest`: recorded values through the same Judge, with the same defaults: what would have fired.

There is nothing to tune and no option for it. Exit code 0 says that values were judged, whatever they came to: this is
no gate.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agents.budget_files import load_budget_paths
from agents.cli.backtest_files import FileResult, Job, run_jobs, size_of
from agents.cli.backtest_output import episode_table, event_line
from agents.cli.output import ExitCode, console, fail, people
from agents.settings import SettingsError, parse_duration_ms
from budgets.spec.model import ServiceBudget

_DEFAULT_STEP_MS = 60_000


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
        typer.Option(
            metavar="FILE", help="CSV: timestamp, then a column for each indicator. Further files may follow."
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]…", help="Further files of --series.")] = None,
    direction: Annotated[
        DirectionsOption, typer.Option(help="Which direction is bad, for columns without a budget.")
    ] = DirectionsOption.BOTH,
    step: Annotated[str | None, typer.Option(help="Evaluation step; by default what the file's rows have.")] = None,
    budgets: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Budget file of the service that a file is named after."),
    ] = None,
    output: Annotated[BacktestOutput, typer.Option(help="How to print what fired.")] = BacktestOutput.TABLE,
    scores: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the severity of every row, 0-1, to FILE.scores.csv.")
    ] = None,
) -> None:
    """Feed recorded values to the judge, row by row, and print what would have fired."""
    files = [*(series or []), *(more or [])]
    if not series:
        fail("nothing to judge, expected --series FILE…", ExitCode.USAGE)
    try:
        step_ms = _parse_step(step)
        loaded = load_budget_paths(budgets, step_ms or _DEFAULT_STEP_MS) if budgets else []
        jobs = _jobs(files, direction, step_ms, loaded, scores)
        results = _run(jobs, output)
    except SettingsError as error:
        fail(str(error), ExitCode.USAGE)
    raise typer.Exit(_finish(results, output))


def _parse_step(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        step_ms = parse_duration_ms(text)
    except ValueError as error:
        raise SettingsError(f"--step: {error}") from error
    if step_ms <= 0:
        raise SettingsError("--step: expected a duration above zero")
    return step_ms


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
        names = Counter(file.name for file in files)
        for name, count in names.items():
            if count > 1:
                raise SettingsError(f"--scores: {count} files are named {name}, so their scores would be, too")
        try:
            scores.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"--scores: {scores}: {error.strerror}") from None
    return [Job(file, direction.value, step_ms, tuple(budgets), scores) for file in files]


def _run(jobs: Sequence[Job], output: BacktestOutput) -> list[FileResult]:
    """Every file, with a progress bar for people; events are printed as soon as a file is done."""
    results = []
    with ExitStack() as stack:
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=people,
            transient=True,
            disable=not people.is_terminal,
        )
        stack.enter_context(progress)
        task = progress.add_task(f"{len(jobs)} files", total=max(1, size_of(jobs)))
        for result in run_jobs(jobs, lambda done: progress.update(task, completed=done)):
            results.append(result)
            if output is BacktestOutput.JSONL:
                for row, event in result.events:
                    typer.echo(event_line(result.name, row, event))
    return results


def _finish(results: Sequence[FileResult], output: BacktestOutput) -> ExitCode:
    """What is left to say, and how it ends."""
    for result in results:
        for remark in result.remarks:
            people.print(remark, markup=False)
        if result.problem:
            people.print(result.problem, style="red", markup=False)
    if output is BacktestOutput.TABLE:
        table = episode_table(results)
        if table.row_count:
            console.print(table)
    rows, judged = sum(result.rows for result in results), sum(result.judged for result in results)
    fired = Counter(event.kind for result in results for _, event in result.events if event.transition == "firing")
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(fired.items())) or "nothing would have fired"
    people.print(f"{len(results)} files, {rows} rows, {judged} values judged: {told}", markup=False)
    if any(result.problem for result in results):
        return ExitCode.USAGE
    return ExitCode.PASS if judged else ExitCode.INCONCLUSIVE

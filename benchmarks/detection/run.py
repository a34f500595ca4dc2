"""Tasks of a row, spread over processes, with a progress bar when somebody watches."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.detection.figure import Figure
from benchmarks.detection.row import Options, Task
from benchmarks.detection.rows import ROWS


def _run_one(task: Task) -> object:
    return task()


def _run_tasks(tasks: list[Task], processes: int, label: str) -> Iterator[tuple[int, object]]:
    """(number, result) of every task, as they end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        ProcessPoolExecutor(processes, mp_context=context) as pool,
    ):
        bar = progress.add_task(label, total=len(tasks))
        numbers = {pool.submit(_run_one, task): number for number, task in enumerate(tasks)}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
            progress.advance(bar)


def measure(row_name: str, methods: list[str], options: Options, processes: int) -> list[Figure]:
    """The figures of one row for all methods."""
    row = ROWS[row_name]
    work = [(method, task) for method in methods for task in row.tasks(method, options)]
    results: list[object] = [None] * len(work)
    for number, result in _run_tasks([task for _, task in work], processes, row_name):
        results[number] = result
    figures = []
    for method in methods:
        of_method = [result for (owner, _), result in zip(work, results, strict=True) if owner == method]
        figures += row.figures(method, of_method, options)
    return figures

"""Recorded files on their way through the Judge: read, judged in processes beside each other, scores written.

What is decided is `budgets/backtest`'s business; here are files, processes and how far they have come.
"""

import csv
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.cli.files import read_text
from agents.settings import SettingsError
from budgets.backtest.columns import Columns, Directions, watch_columns
from budgets.backtest.grid import infer_step_ms, steps_of
from budgets.backtest.play import play
from budgets.backtest.recording import Recording, RecordingError, read_recording
from budgets.event import AlertEvent
from budgets.spec.model import ServiceBudget

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

# Progress is told once in so many rows.
_TELL_EVERY_ROWS = 2_000
_POLL_SECONDS = 0.1
# A step nobody can be asked for: there are not two rows.
_DEFAULT_STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class Job:
    """One file and how to judge it. step_ms: None = told by the file itself. scores: the folder for them."""

    path: Path
    directions: Directions
    step_ms: int | None
    budgets: tuple[ServiceBudget, ...]
    scores: Path | None


@dataclass(frozen=True, slots=True)
class FileResult:
    """What one file came to.

    events: with the rows that decided them, in order. judged: values that the Judge was asked about.
    problem: why the file could not be used. remarks: what its owner should know.
    """

    name: str
    rows: int = 0
    judged: int = 0
    events: tuple[tuple[int, AlertEvent], ...] = ()
    remarks: tuple[str, ...] = ()
    problem: str = ""


def run_job(job: Job, tell: Callable[[float], None]) -> FileResult:
    """Judge one file; `tell` gets the share of it that is done since it was told last."""
    name = job.path.name
    try:
        recording = read_recording(read_text(job.path), name)
        columns = _columns_of(recording, job)
    except (RecordingError, SettingsError) as error:
        return FileResult(name, problem=str(error))
    step_ms = job.step_ms or infer_step_ms(recording.times) or _DEFAULT_STEP_MS
    steps = steps_of(recording.times, step_ms)
    events: list[tuple[int, AlertEvent]] = []
    scores: list[tuple[float, ...]] = []
    count = len(steps)
    for decided in play(recording, columns, steps, step_ms, scored=job.scores is not None):
        events += ((decided.row, event) for event in decided.events)
        scores.append(decided.severities)
        if decided.row % _TELL_EVERY_ROWS == _TELL_EVERY_ROWS - 1:
            tell(_TELL_EVERY_ROWS / count)
    if job.scores is not None:
        _write_scores(job.scores / f"{name}.scores.csv", recording, scores)
    tell(count % _TELL_EVERY_ROWS / count if count else 1.0)
    judged = sum(
        value is not None
        for column in recording.values
        for value, step in zip(column, steps, strict=True)
        if step is not None
    )
    return FileResult(name, count, judged, tuple(events), _remarks(job, recording, columns, steps, step_ms))


def _columns_of(recording: Recording, job: Job) -> Columns:
    """What the columns are watched for: as the budget of the service that the file is named after, or the only one."""
    service = job.path.name.partition(".")[0] or job.path.name
    if not job.budgets:
        return watch_columns(recording.columns, service, job.directions, job.step_ms or _DEFAULT_STEP_MS)
    named = {budget.service: budget for budget in job.budgets}
    budget = named.get(service) or (job.budgets[0] if len(named) == 1 else None)
    if budget is None:
        raise SettingsError(
            f"{recording.name}: no budget of a service {service!r}; name the file after one of: {', '.join(named)}"
        )
    columns = watch_columns(recording.columns, budget.service, job.directions, job.step_ms or _DEFAULT_STEP_MS, budget)
    if not any(columns.known):
        names = ", ".join(spec.name for spec in budget.indicators)
        raise SettingsError(f"{recording.name}: no column is an indicator of {budget.service}, which has: {names}")
    return columns


def _remarks(
    job: Job, recording: Recording, columns: Columns, steps: Sequence[int | None], step_ms: int
) -> tuple[str, ...]:
    remarks = []
    if job.step_ms is None:
        remarks.append(f"{recording.name}: step {step_ms / 1000:g}s, as its first rows have it")
    unjudged = [row for row, step in enumerate(steps) if step is None]
    if unjudged:
        remarks.append(
            f"{recording.name}: {len(unjudged)} rows not judged: they repeat a step of {step_ms / 1000:g}s or go back "
            f"in time, the first of them at {recording.stamps[unjudged[0]]} (row {unjudged[0]})"
        )
    unknown = [name for name, known in zip(recording.columns, columns.known, strict=True) if not known]
    if unknown and len(unknown) < len(recording.columns):
        remarks.append(f"{recording.name}: judged without limits, the budget does not have them: {', '.join(unknown)}")
    return tuple(remarks)


def _write_scores(path: Path, recording: Recording, scores: Sequence[tuple[float, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("timestamp", *recording.columns))
    writer.writerows((stamp, *severities) for stamp, severities in zip(recording.stamps, scores, strict=True))
    path.write_text(text.getvalue(), encoding="utf-8")


# --- several files beside each other ---------------------------------------------------------------------------------

_done: "Synchronized[float] | None" = None


def _share(done: "Synchronized[float]") -> None:
    """In a new process: where to count what is done."""
    global _done  # noqa: PLW0603  a pool hands it over once, before the first job
    _done = done


def _run_counted(job: Job) -> FileResult:
    size = job.path.stat().st_size if job.path.exists() else 0

    def tell(share: float) -> None:
        if _done is not None:
            with _done.get_lock():
                _done.value += share * size

    return run_job(job, tell)


def size_of(jobs: Sequence[Job]) -> int:
    """What there is to do, as bytes of files."""
    return sum(job.path.stat().st_size for job in jobs if job.path.exists())


def run_jobs(jobs: Sequence[Job], show: Callable[[float], None]) -> Iterator[FileResult]:
    """Every file's result, in the order of the jobs; `show` gets the bytes that are done, ten times a second.

    Raises:
        SettingsError: a process died: too little memory, most likely.
    """
    processes = min(len(jobs), len(os.sched_getaffinity(0)))
    if processes <= 1:
        total = 0.0
        for job in jobs:
            size = size_of([job])

            def tell(share: float, size: int = size) -> None:
                nonlocal total
                total += share * size
                show(total)

            yield run_job(job, tell)
        return
    context = multiprocessing.get_context("spawn")
    done = context.Value("d", 0.0)
    with ProcessPoolExecutor(processes, context, _share, (done,)) as pool:
        futures: list[Future[FileResult]] = [pool.submit(_run_counted, job) for job in jobs]
        try:
            for future in futures:
                while not future.done():
                    wait([future], timeout=_POLL_SECONDS)
                    show(done.value)
                yield future.result()
        except BrokenProcessPool as error:
            raise SettingsError("a process that judged a file died, perhaps for lack of memory") from error
        finally:
            pool.shutdown(cancel_futures=True)

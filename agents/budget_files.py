"""Budget files on their way into the log: read, compared with what the log holds, published as orders, watched.

One publisher an installation (the web role, a test, the demo); every role takes budgets from the orders alone. Files
that cannot be used change nothing: the budgets before stay in force, and the log, the metrics, the page and an alert
say so.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from agents.budget_alert import BudgetFilesAlert
from agents.metrics import BudgetFilesMetrics
from agents.orders import read_orders, write_orders
from agents.settings import Settings, SettingsError
from budgets.order import first_step_from
from budgets.spec.changes import changes_between
from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets
from budgets.spec.model import ServiceBudget

log = structlog.get_logger()

# Who gives the orders: budgets of this source are withdrawn when their file no longer has them.
SOURCE = "budget-files"
ENDINGS = frozenset({".json", ".yaml", ".yml"})
POLL_SECONDS = 1.0

# What stands in each file: its bytes, or why they cannot be read.
Contents = dict[str, bytes | str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files come to. problems: what is wrong, by file; if there are any, nothing is to be published.

    linked: what stands in the files that they name (holidays).
    """

    budgets: list[ServiceBudget] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    linked: Contents = field(default_factory=dict)


def _files_of(path: Path) -> list[Path]:
    """The files that a path stands for. Names that begin with a dot are how Kubernetes swaps a ConfigMap."""
    if not path.is_dir():
        return [path]
    return sorted(
        entry
        for entry in path.iterdir()
        if entry.suffix.lower() in ENDINGS and not entry.name.startswith(".") and entry.is_file()
    )


def read_contents(paths: Sequence[Path]) -> Contents:
    """The bytes of every budget file of these files and directories, each file once."""
    contents: Contents = {}
    seen: set[Path] = set()
    for path in paths:
        try:
            files = _files_of(path)
            if not files:
                contents[str(path)] = f"{path}: no budget file in it, expected *.json, *.yaml or *.yml"
        except OSError as error:
            contents[str(path)] = f"{path}: {error.strerror}"
            continue
        for file in files:
            if (real := file.resolve()) not in seen:
                seen.add(real)
                contents[str(file)] = _read(file)
    return contents


def _read(file: Path) -> bytes | str:
    """The bytes of a file, or why there are none."""
    try:
        return file.read_bytes()
    except OSError as error:
        return f"{file}: {error.strerror}"


def _read_again(files: Iterable[str]) -> Contents:
    return {name: _read(Path(name)) for name in files}


def parse_contents(contents: Mapping[str, bytes | str], step_ms: int) -> Reading:
    """The budgets of all files, or what is wrong in each."""
    reading = Reading()
    files: dict[str, str] = {}
    for name, content in contents.items():
        try:
            read_file = partial(_read_linked, reading.linked, Path(name).parent)
            budgets = load_budgets(_decode(name, content), name, step_ms=step_ms, read_file=read_file)
        except (BudgetError, SettingsError) as error:
            reading.problems[name] = str(error)
            continue
        for budget in budgets:
            if budget.service in files:
                reading.problems[name] = (
                    f"{name}: {budget.service}: also in {files[budget.service]}, expected a service in one file"
                )
            files[budget.service] = name
        reading.budgets.extend(budgets)
    return reading


def _read_linked(linked: Contents, directory: Path, path: str) -> str:
    """The text of a file that a budget file names; each is read once.

    Raises:
        ValueError: it cannot be read.
    """
    name = str(directory / path)
    if name not in linked:
        linked[name] = _read(Path(name))
    try:
        return _decode(name, linked[name])
    except SettingsError as error:
        raise ValueError(str(error)) from error


def _decode(name: str, content: bytes | str) -> str:
    if isinstance(content, str):  # why there are no bytes
        raise SettingsError(content)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{name}:{line}: not UTF-8 text") from error


def load_budget_paths(paths: Sequence[Path], step_ms: int) -> list[ServiceBudget]:
    """The budgets of files and directories.

    Raises:
        SettingsError: every mistake of every file, one a line.
    """
    reading = parse_contents(read_contents(paths), step_ms)
    if reading.problems:
        raise SettingsError("\n".join(reading.problems.values()))
    return reading.budgets


class BudgetPublisher:
    """Keeps the orders topic in line with the files.

    problems: what is wrong, by file, for the page; empty = all is well.
    problem: why the log may not have what the files say, None = it has.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Sequence[Path],
        effective_at_ms: int | None = None,
        *,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """See the class.

        Args:
            paths: files and directories.
            effective_at_ms: from when on the budgets of the start hold; None = the first step after now.
            registry: where metrics are shown; may also be given later by `register`.
        """
        self._settings = settings
        self._paths = list(paths)
        self._effective_at_ms = effective_at_ms
        self._alert = BudgetFilesAlert(settings)
        self._metrics = BudgetFilesMetrics(registry)
        self._task: asyncio.Task[None] | None = None
        # Budget files, and the files that they name.
        self._seen: tuple[Contents, Contents] = ({}, {})
        self._applied: tuple[Contents, Contents] = ({}, {})
        self.problems: dict[str, str] = {}
        self.problem: str | None = "budget files have not been published yet"

    def register(self, registry: CollectorRegistry) -> None:
        """Show the metrics also in this registry."""
        self._metrics.register(registry)

    async def start(self) -> None:
        """Publish what differs from the log, then watch the files.

        Raises:
            SettingsError: the files are wrong, and the log holds no budget of theirs that could stay.
            KafkaError, TimeoutError: the log cannot be reached; may be called again.
        """
        contents = await asyncio.to_thread(read_contents, self._paths)
        reading = parse_contents(contents, self._settings.step)
        if reading.problems and not await self._has_published():
            raise SettingsError("\n".join(reading.problems.values()))
        await self._apply(contents, reading)
        self._effective_at_ms = None  # later changes hold from their own time on
        self._task = asyncio.create_task(self._watch(), name="budget files")

    async def run(self) -> None:
        """Start as soon as Kafka is there, then watch until cancelled.

        Raises:
            SettingsError: as `start`.
        """
        while self._task is None:
            try:
                await self.start()
            except (KafkaError, OSError) as error:
                self._note_unreachable(error)
                await asyncio.sleep(POLL_SECONDS)
        await self._task

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _has_published(self) -> bool:
        orders = await read_orders(self._settings)
        return any(order.by == SOURCE and order.document is not None for order in orders.values())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._look()
            except (KafkaError, OSError) as error:  # TimeoutError is one, too
                self._note_unreachable(error)

    def _note_unreachable(self, error: Exception) -> None:
        problem = f"budget files cannot be published: {error!r}"
        if problem != self.problem:
            log.warning("budget files cannot be published, trying again", error=repr(error))
        self.problem = problem

    async def _look(self) -> None:
        """Take a change once the files have been the same for two looks: nobody is still writing then."""
        contents = await asyncio.to_thread(read_contents, self._paths)
        now = (contents, await asyncio.to_thread(_read_again, self._applied[1]))
        is_settled, self._seen = now == self._seen, now
        if is_settled and now != self._applied:
            await self._apply(contents, parse_contents(contents, self._settings.step))

    async def _apply(self, contents: Contents, reading: Reading) -> None:
        """Publish the budgets, or what is wrong with the files. Done only when the log has taken all of it."""
        self._note(reading)
        if not reading.problems:
            await self._publish(reading.budgets)
        event = await self._alert.update(reading.problems)
        if event is not None:
            log.info("alert about budget files published", transition=event.transition, id=event.id)
        self._metrics.take(len(reading.problems))
        self._applied = (contents, reading.linked)
        self.problem = None

    def _note(self, reading: Reading) -> None:
        """Say it, once for each change."""
        if reading.problems != self.problems:
            for problem in reading.problems.values():
                for line in problem.splitlines():
                    log.error("budget file refused, the last good budgets stay in force", mistake=line)
        self.problems = reading.problems

    async def _publish(self, budgets: list[ServiceBudget]) -> None:
        current = await read_orders(self._settings)
        now_ms = int(time.time() * 1000)
        effective_at_ms = self._effective_at_ms
        if effective_at_ms is None:
            effective_at_ms = first_step_from(now_ms + 1, self._settings.step)
        orders = changes_between(current, budgets, by=SOURCE, at_ms=now_ms, effective_at_ms=effective_at_ms)
        if orders:
            await write_orders(self._settings, orders)
        if orders and self._effective_at_ms is None:
            late_ms = time.time() * 1000 - effective_at_ms - self._settings.evaluation_delay
            if late_ms > 0:
                # A worker may have closed that step without them; a replay would not.
                log.warning("budgets were acknowledged after their first step could close", late_ms=round(late_ms))
        log.info(
            "budgets published",
            budgets=len(budgets),
            changed=[order.subject for order in orders],
            effective_at_ms=effective_at_ms,
        )

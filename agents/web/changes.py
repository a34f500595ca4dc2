"""`/api/v1/changes`: pipelines tell what they deploy, people look at what was deployed.

A change is written to the log and comes back from it like to everybody else: nothing is kept here but the newest ones,
in memory, for the answers.
"""

import time
from bisect import insort
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from aiokafka.errors import KafkaError

from agents.access import caller_of
from agents.changes import write_changes
from agents.kafka.topics import CHANGES
from agents.settings import Settings
from agents.web.answer import json_answer
from agents.web.documents import ChangeItem, NewChange, Page
from agents.web.parameters import check_names, cursor_of, encode_cursor, json_body, limit_of, moment_of
from agents.web.problems import WrongQuestionError, problem
from budgets.change import Change
from budgets.event import format_time
from budgets.order import first_step_from

log = structlog.get_logger()

MOST_KEPT = 10_000
# A clock that is ahead; a change that is planned has not happened.
_MOST_AHEAD_MS = 300_000
_MOST_NAME, _MOST_NOTE = 200, 1_000

# at (Unix ms), service, version: newest last.
_Key = tuple[int, str, str]


def _key(change: Change) -> _Key:
    return change.at_ms, change.service, change.version


class ChangeLog:
    """The newest changes of all services, each once."""

    def __init__(self) -> None:
        self._changes: dict[_Key, Change] = {}
        self._order: list[_Key] = []

    def on_change(self, change: Change) -> None:
        """Take one change as it comes from the log."""
        key = _key(change)
        if key not in self._changes:
            insort(self._order, key)
        self._changes[key] = change
        if len(self._order) > MOST_KEPT:
            del self._changes[self._order.pop(0)]

    def newest(self, service: str | None, before: _Key | None, limit: int) -> list[tuple[_Key, Change]]:
        """At most `limit` changes, the newest first."""
        found = []
        for key in reversed(self._order):
            if (before is None or key < before) and service in {None, key[1]}:
                found.append((key, self._changes[key]))
                if len(found) == limit:
                    break
        return found


class ChangesApi:
    """The handlers."""

    def __init__(
        self,
        settings: Settings,
        changes: ChangeLog,
        write: Callable[[Settings, Change], Awaitable[None]] = write_changes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._changes = changes
        self._write = write
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Serve the path."""
        app.router.add_get("/api/v1/changes", self.list)
        app.router.add_post("/api/v1/changes", self.add)

    async def list(self, request: web.Request) -> web.Response:
        """The newest changes."""
        check_names(request, "service", "cursor", "limit")
        limit = limit_of(request)
        before = cursor_of(request, tuple[int, str, str])
        found = self._changes.newest(request.query.get("service"), before, limit + 1)
        following = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
        return json_answer(Page([_item(change) for _, change in found[:limit]], following))

    async def add(self, request: web.Request) -> web.Response:
        """Tell of a change; the answer comes when it is in the log."""
        check_names(request)
        body = await json_body(request)
        now_ms = round(self._clock() * 1000)
        change = change_of(body, now_ms, self._settings.step, caller_of(request))
        try:
            await self._write(self._settings, change)
        except (KafkaError, TimeoutError) as error:
            log.warning("a change cannot be written", error=repr(error))
            return problem(503, "Kafka does not take the change, try again", {"Retry-After": "5"})
        log.info("a change was told", service=change.service, version=change.version, at=change.at, by=change.by)
        return json_answer(_item(change), HTTPStatus.CREATED)


def change_of(body: bytes, now_ms: int, step_ms: int, by: str) -> Change:
    """The change that a request tells of.

    Raises:
        WrongQuestionError: not one.
    """
    try:
        new = msgspec.json.decode(body, type=NewChange)
    except msgspec.DecodeError as error:
        raise WrongQuestionError(f"expected {{service, version, at?, note?}}: {error}") from None
    for name, text, most in (
        ("service", new.service, _MOST_NAME),
        ("version", new.version, _MOST_NAME),
        ("note", new.note, _MOST_NOTE),
    ):
        if len(text) > most or (not text.strip() and name != "note") or not text.isprintable():
            raise WrongQuestionError(f"{name}: expected printable text of at most {most} characters, got {text[:60]!r}")
    at_ms = now_ms if new.at is None else moment_of("at", new.at)
    assert CHANGES.retention_ms is not None
    if not now_ms - CHANGES.retention_ms < at_ms <= now_ms + _MOST_AHEAD_MS:
        raise WrongQuestionError(f"at: expected a time that has come and is not 90 days ago, got {new.at!r}")
    return Change(new.service, new.version, format_time(at_ms), by, first_step_from(now_ms, step_ms), new.note)


def _item(change: Change) -> ChangeItem:
    return ChangeItem(change.service, change.version, change.at, change.by, change.note)

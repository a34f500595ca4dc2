"""What the API is asked: query parameters, each checked, each error saying what was expected."""

import base64
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec
from aiohttp import web

from agents.settings import parse_duration_ms
from agents.web.problems import WrongQuestionError
from budgets.event import parse_time

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
DEFAULT_RANGE_MS = 6 * 3_600_000
MAX_POINTS = 11_000  # as Prometheus
DEFAULT_POINTS = 500

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Range:
    """from_ms, to_ms: Unix ms, both inside; step_ms: None = whatever suits the range."""

    from_ms: int
    to_ms: int
    step_ms: int | None


def check_names(request: web.Request, *known: str) -> None:
    """Refuse a parameter that nobody reads: a misspelled filter must not look like a filter.

    Raises:
        WrongQuestionError: unknown, or given twice.
    """
    for name in request.query:
        if name not in known:
            expected = ", ".join(known) if known else "none"
            raise WrongQuestionError(f"unknown parameter {name!r}, expected {expected}")
        if len(request.query.getall(name)) > 1:
            raise WrongQuestionError(f"parameter {name!r} is given more than once")


def choices_of(request: web.Request, name: str, allowed: Sequence[str]) -> list[str]:
    """One or several of `allowed`, separated by commas; not given = none.

    Raises:
        WrongQuestionError: something else.
    """
    text = request.query.get(name)
    if text is None:
        return []
    chosen = text.split(",")
    for choice in chosen:
        if choice not in allowed:
            raise WrongQuestionError(f"{name}: expected one or several of {', '.join(allowed)}, got {choice!r}")
    return chosen


def limit_of(request: web.Request) -> int:
    """How many items at most.

    Raises:
        WrongQuestionError: not a number in the range.
    """
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise WrongQuestionError(f"limit: expected a number from 1 to {MAX_LIMIT}, got {text!r}")
    return int(text)


def encode_cursor(key: object) -> str:
    """Where the next part begins, as text that means nothing to anybody else."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def cursor_of(request: web.Request, of: type[KeyT]) -> KeyT | None:
    """The key in `cursor`; None = from the beginning.

    Raises:
        WrongQuestionError: not one that we gave.
    """
    text = request.query.get("cursor")
    if text is None:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=of)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise WrongQuestionError("cursor: expected the `next` of an earlier answer") from None


async def json_body(request: web.Request) -> bytes:
    """The body of an order, said to be JSON: a page of somebody else cannot make a browser say so without asking first.

    Raises:
        HTTPUnsupportedMediaType: it is said to be something else.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="expected Content-Type: application/json")
    return await request.read()


def moment_of(name: str, at: str | int) -> int:
    """A time in a body, as Unix ms.

    Raises:
        WrongQuestionError: not a time, or one that no calendar has.
    """
    try:
        at_ms = at if isinstance(at, int) else parse_time(at)
        datetime.fromtimestamp(at_ms / 1000)  # noqa: DTZ006  only whether there is such a time
    except (ValueError, OverflowError, OSError):
        raise WrongQuestionError(
            f"{name}: expected a time such as 2026-01-31T12:00:00Z or Unix milliseconds, got {at!r}"
        ) from None
    return at_ms


def _time_of(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        if text.isascii() and text.isdigit():
            moment_ms = int(text[:17])
            datetime.fromtimestamp(moment_ms / 1000)  # noqa: DTZ006  only whether there is such a time
            return moment_ms
        # An unescaped plus sign arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is not None:
            return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        pass
    raise WrongQuestionError(f"{name}: expected a time such as 2026-01-31T12:00:00Z or Unix milliseconds, got {text!r}")


def range_of(request: web.Request) -> Range:
    """`from`, `to` and `step`; by default the last six hours.

    Raises:
        WrongQuestionError: not times, or the wrong way round, or too many points.
    """
    to_ms = _time_of(request, "to")
    to_ms = round(time.time() * 1000) if to_ms is None else to_ms
    from_ms = _time_of(request, "from")
    from_ms = to_ms - DEFAULT_RANGE_MS if from_ms is None else from_ms
    if from_ms > to_ms:
        raise WrongQuestionError("from: expected a time before `to`")
    text = request.query.get("step")
    if text is None:
        return Range(from_ms, to_ms, None)
    try:
        step_ms = parse_duration_ms(text)
    except ValueError as error:
        raise WrongQuestionError(f"step: {error}") from None
    if step_ms < 1000:
        raise WrongQuestionError(f"step: expected at least 1s, got {text!r}")
    if (to_ms - from_ms) // step_ms > MAX_POINTS:
        raise WrongQuestionError(f"step: more than {MAX_POINTS} points, expected a longer step or a shorter range")
    return Range(from_ms, to_ms, step_ms)

"""What the simulated company deploys: a version a day, and the one that makes everything slower."""

from collections.abc import Iterator

from budgets.change import Change
from budgets.event import format_time
from budgets.order import first_step_from

SERVICE = "auth-service"
_DAY_MS = 86_400_000


def usual_deployments(start_ms: int, end_ms: int, step_ms: int) -> Iterator[Change]:
    """One a day, none in the last hours."""
    times_ms = range(start_ms + _DAY_MS // 3, end_ms - _DAY_MS // 3, _DAY_MS)
    for number, at_ms in enumerate(times_ms):
        yield deployment(f"2.3.{number}", at_ms, step_ms)


def deployment(version: str, at_ms: int, step_ms: int, note: str = "") -> Change:
    """A deployment that is told when it begins."""
    return Change(SERVICE, version, format_time(at_ms), "demo", first_step_from(at_ms, step_ms), note)

"""Alert states: what one step's observation does to one alert. Pure; `TRANSITIONS` is the whole machine.

An alert exists from its first `pending` (or `firing`, where nothing has to be waited for) to `resolved`; that time is
its episode. What a step saw is one word:

- `info`, `warning`, `critical`: the condition holds, this badly;
- `between`: it does not hold, but the value is not far enough on the good side either;
- `recovered`: it is; - `unjudged`: a value that says nothing (too little traffic); - `no_data`: no value.

`unjudged` and `no_data` are never good news and never bad: nothing resolves and nothing fires by them, and every clock
starts again after them. Time comes in as an argument, ids and texts are `event.py`'s and `annotations.py`'s business.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from budgets.event import Status, Transition
from budgets.spec.model import Severity

Seen = Literal["info", "warning", "critical", "between", "recovered", "unjudged", "no_data"]
RANK: dict[Seen, int] = {"info": 1, "warning": 2, "critical": 3}


class Timing(msgspec.Struct, frozen=True):
    """for_ms: a condition holds that long before it fires, each severity by itself.

    keep_ms: recovery holds that long before it resolves, a milder severity before it deescalates.
    """

    for_ms: int
    keep_ms: int


class Alert(msgspec.Struct, frozen=True, array_like=True):
    """One alert within its episode. Clocks hold the step since which something is true without a break; None = not.

    onset: when it began as far as could be told at its start, Unix ms; 0 = it was not told.
    worse_since: the condition holds. critical_since: it holds critically. milder_since: below the severity that
    fires. calm_since: recovered.
    """

    status: Status
    severity: Severity
    starts_at: int
    incident: str = ""
    worse_since: int | None = None
    critical_since: int | None = None
    milder_since: int | None = None
    calm_since: int | None = None
    onset: int = 0


# An alert afterwards (None = its episode is over) and the transition to publish, None = nothing to say.
Next = tuple[Alert | None, Transition | None]


def _clocks(alert: Alert, seen: Seen, at: int) -> Alert:
    """The alert with every clock run to this step."""
    rank = RANK.get(seen, 0)

    def since(clock: int | None, *, holds: bool) -> int | None:
        return (at if clock is None else clock) if holds else None

    return msgspec.structs.replace(
        alert,
        worse_since=since(alert.worse_since, holds=rank > 0),
        critical_since=since(alert.critical_since, holds=seen == "critical"),
        milder_since=since(alert.milder_since, holds=rank < RANK[alert.severity]),
        calm_since=since(alert.calm_since, holds=seen == "recovered"),
    )


def stop_clocks(alert: Alert) -> Alert:
    """Something was not seen: nothing is true without a break any more."""
    return msgspec.structs.replace(alert, worse_since=None, critical_since=None, milder_since=None, calm_since=None)


def _lasted(clock: int | None, at: int, duration_ms: int) -> bool:
    return clock is not None and at - clock >= duration_ms


def _severity_of(seen: Seen) -> Severity:
    assert seen in {"info", "warning", "critical"}
    return seen


def _begin(_: Alert | None, seen: Seen, at: int, timing: Timing) -> Next:
    alert = _clocks(Alert("pending", _severity_of(seen), at), seen, at)
    if timing.for_ms > 0:
        return alert, "pending"
    return msgspec.structs.replace(alert, status="firing"), "firing"


def _wait(alert: Alert, seen: Seen, at: int, timing: Timing) -> Next:
    alert = _clocks(alert, seen, at)
    severity: Severity = seen if seen == "info" else "warning"
    if _lasted(alert.critical_since, at, timing.for_ms):
        severity = "critical"
    if not _lasted(alert.worse_since, at, timing.for_ms):
        return msgspec.structs.replace(alert, severity=_severity_of(seen)), None
    return msgspec.structs.replace(alert, status="firing", severity=severity, milder_since=None), "firing"


def _drop(_alert: Alert, _seen: Seen, _at: int, _timing: Timing) -> Next:
    return None, "resolved"


def _pause(alert: Alert, _seen: Seen, _at: int, _timing: Timing) -> Next:
    return stop_clocks(alert), None


def _burn(alert: Alert, seen: Seen, at: int, timing: Timing) -> Next:
    alert = _clocks(alert, seen, at)
    if alert.severity != "critical" and _lasted(alert.critical_since, at, timing.for_ms):
        return msgspec.structs.replace(alert, severity="critical", milder_since=None), "escalated"
    if alert.severity == "critical" and _lasted(alert.milder_since, at, timing.keep_ms):
        return msgspec.structs.replace(alert, severity="warning", milder_since=None), "deescalated"
    return alert, None


def _calm(alert: Alert, seen: Seen, at: int, timing: Timing) -> Next:
    alert = _clocks(alert, seen, at)
    return (None, "resolved") if _lasted(alert.calm_since, at, timing.keep_ms) else (alert, None)


def _lose(alert: Alert, _seen: Seen, _at: int, _timing: Timing) -> Next:
    return msgspec.structs.replace(stop_clocks(alert), status="stale"), "stale"


def _return(alert: Alert, seen: Seen, at: int, _timing: Timing) -> Next:
    alert = stop_clocks(msgspec.structs.replace(alert, status="firing"))
    return (alert if seen == "unjudged" else _clocks(alert, seen, at)), "firing"


def _stay(alert: Alert | None, _seen: Seen, _at: int, _timing: Timing) -> Next:
    return alert, None


_Step = Callable[[Alert, Seen, int, Timing], Next]

# state      what the step saw, and what follows
# fmt: off
TRANSITIONS: dict[str, dict[str, _Step]] = {
    "pending": {"worse": _wait,   "between": _drop,   "recovered": _drop,   "unjudged": _pause,  "no_data": _pause},
    "firing":  {"worse": _burn,   "between": _burn,   "recovered": _calm,   "unjudged": _pause,  "no_data": _lose},
    "stale":   {"worse": _return, "between": _return, "recovered": _return, "unjudged": _return, "no_data": _stay},
}
# fmt: on


def next_state(alert: Alert | None, seen: Seen, at: int, timing: Timing) -> Next:
    """One step of one alert: the alert afterwards and the transition to publish.

    An alert that does not exist begins when its condition holds, and does nothing otherwise.
    """
    if alert is None:
        return _begin(None, seen, at, timing) if seen in RANK else (None, None)
    return TRANSITIONS[alert.status]["worse" if seen in RANK else seen](alert, seen, at, timing)

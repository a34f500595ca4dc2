"""What a value means: its state, and which state is worse. One question about one indicator, and one about many."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from budgets.limits import level_of
from budgets.spec.model import IndicatorSpec, Severity
from budgets.traffic import has_traffic

# The worst first. What is not known is never better than what is fine.
State = Literal["critical", "warning", "stale", "no_data", "low_traffic", "ok"]
STATES: tuple[State, ...] = get_args(State)
STATE_OF_LEVEL: Mapping[Severity | None, State] = {"critical": "critical", "warning": "warning"}
# A point is stale when this many steps should have closed since.
STALE_STEPS = 4
_SHORTEST_STALE_MS = 15_000


def stale_after_ms(step_ms: int, evaluation_delay_ms: int) -> int:
    """The age at which a value says nothing about now any more."""
    return evaluation_delay_ms + max(STALE_STEPS * step_ms, _SHORTEST_STALE_MS)


def state_of(spec: IndicatorSpec, value: float | None, weight: float | None, *, is_stale: bool) -> State:
    """The state of an indicator whose newest point is this one."""
    if is_stale:
        return "stale"
    if value is None:
        return "no_data"
    if not has_traffic(spec, weight):
        return "low_traffic"
    return STATE_OF_LEVEL.get(level_of(spec, value), "ok")


def worst(states: Iterable[State]) -> State:
    """The worst of some states; "no_data" if there are none: nothing known is not fine."""
    return min(states, key=STATES.index, default="no_data")

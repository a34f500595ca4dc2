"""Which state explains what: an indicator or an alert of the API, joined with its budget and its newest state."""

from agents.web.latest_states import LatestStates
from agents.web.overview import Overview
from agents.web.problems import NotFoundError
from budgets.event import AlertEvent
from budgets.explain.now import Explanation, KindExplanation, explain
from budgets.spec.model import IndicatorSpec
from streams.frame import point_id, split_point_id


def spec_of(overview: Overview, point: str) -> IndicatorSpec | None:
    """The budget's indicator that a point belongs to; None = no budget has it (any more)."""
    query_id, _ = split_point_id(point)
    specs = (view.spec for service in overview.services for view in service.indicators)
    return next((spec for spec in specs if spec.id == query_id), None)


def explain_point(overview: Overview, states: LatestStates, point: str) -> Explanation:
    """Why each kind of alert of a point fires or does not.

    Raises:
        NotFoundError: no budget has it, or nothing was told about it lately.
    """
    spec = spec_of(overview, point)
    if spec is None:
        raise NotFoundError(f"no indicator has the id {point!r}")
    state = states.get(point)
    if state is None:
        reason = states.problem or "it has no value, or the worker began a moment ago"
        raise NotFoundError(f"nothing was told about {point!r} lately: {reason}")
    return explain(spec, state)


def explain_alert(overview: Overview, states: LatestStates, event: AlertEvent) -> KindExplanation | None:
    """What of an alert's conditions holds at its point's newest step; None = nothing was told about it lately."""
    query_id = f"{event.service}/{event.indicator}"
    spec = spec_of(overview, query_id)
    if spec is None:
        return None
    group = {
        name: value for name, value in event.labels.items() if name != "service" and spec.labels.get(name) != value
    }
    state = states.get(point_id(query_id, group))
    if state is None:
        return None
    return next((found for found in explain(spec, state).kinds if found.kind == event.kind), None)

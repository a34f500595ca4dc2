"""Everything that is known now, at once: budgets in force, newest values, open alerts. API and page show parts of it.

Pure but for the reading in `OverviewSource`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agents.web.budgets_in_force import BudgetsInForce
from agents.web.history.batch import LatestBaseline
from agents.web.history.reader import HistoryReader, Latest
from agents.web.states import STATE_OF_LEVEL, State, stale_after_ms, state_of, worst
from budgets.event import AlertEvent
from budgets.spec.model import IndicatorSpec, ServiceBudget

# A group (a route, a pod) that went away is shown as stale this long, then it is history.
FORGET_GROUP_MS = 3_600_000
# Requests within this time see the same overview: many open pages cost as much as one.
KEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class IndicatorView:
    """One indicator's newest value; at: Unix ms, None = never measured. alerts: the open ones about it.

    usual: what is usual for it, None = not told yet.
    """

    id: str
    spec: IndicatorSpec
    labels: dict[str, str]
    value: float | None
    weight: float | None
    at: int | None
    state: State
    alerts: tuple[AlertEvent, ...]
    usual: LatestBaseline | None = None

    @property
    def baseline(self) -> float | None:
        """What it is judged against, as of a minute ago; before that was told, what an open alert says."""
        if self.usual is not None:
            return self.usual.expected
        return next((alert.evidence.baseline for alert in self.alerts if alert.evidence.baseline is not None), None)


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service that has a budget; its indicators and open alerts."""

    name: str
    state: State
    source: str
    indicators: tuple[IndicatorView, ...]
    alerts: tuple[AlertEvent, ...]

    @property
    def at(self) -> int | None:
        """The newest point, Unix ms."""
        return max((view.at for view in self.indicators if view.at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it as of `now_ms`. services: by name. alerts: open ones, also of services without a budget."""

    now_ms: int
    services: tuple[ServiceView, ...]
    alerts: tuple[AlertEvent, ...]

    @property
    def at(self) -> int | None:
        """The newest point of all, Unix ms."""
        return max((service.at for service in self.services if service.at is not None), default=None)


def overview_of(
    budgets: Mapping[str, ServiceBudget],
    latest: Sequence[Latest],
    alerts: Sequence[AlertEvent],
    now_ms: int,
    evaluation_delay_ms: int,
) -> Overview:
    """Join what is promised, what is measured and what is wrong."""
    measured: dict[str, list[Latest]] = {}
    for point in latest:
        measured.setdefault(point.query_id, []).append(point)
    open_alerts: dict[str, list[AlertEvent]] = {}
    for alert in alerts:
        open_alerts.setdefault(alert.service, []).append(alert)
    services = []
    for name, budget in sorted(budgets.items()):
        own = tuple(open_alerts.get(name, []))
        indicators = tuple(
            view
            for spec in budget.indicators
            for view in _views_of(spec, measured.get(spec.id, []), own, now_ms, evaluation_delay_ms)
        )
        services.append(ServiceView(name, _service_state(indicators, own), budget.source, indicators, own))
    return Overview(now_ms, tuple(services), tuple(alerts))


def is_alarming(alert: AlertEvent) -> bool:
    """Whether somebody should look now: a transient anomaly (severity info) is shown, but alarms nobody."""
    return alert.status == "firing" and alert.severity != "info"


def _service_state(indicators: Iterable[IndicatorView], alerts: Iterable[AlertEvent]) -> State:
    firing = (STATE_OF_LEVEL[alert.severity] for alert in alerts if is_alarming(alert))
    return worst([*(view.state for view in indicators), *firing])


def _views_of(
    spec: IndicatorSpec,
    points: Sequence[Latest],
    alerts: Sequence[AlertEvent],
    now_ms: int,
    evaluation_delay_ms: int,
) -> Iterable[IndicatorView]:
    about = [alert for alert in alerts if alert.indicator == spec.name]
    newest = max((point.at for point in points), default=None)
    if newest is None:
        yield IndicatorView(spec.id, spec, {}, None, None, None, "no_data", tuple(about))
        return
    for point in points:
        if point.at < newest and (not point.labels or newest - point.at > FORGET_GROUP_MS):
            continue  # the placeholder of an empty result, or a group that is gone
        is_stale = now_ms - point.at > stale_after_ms(point.step, evaluation_delay_ms)
        state = state_of(spec, point.value, point.weight, is_stale=is_stale)
        # An alert names the service and the budget's own labels beside those of the group.
        own = tuple(alert for alert in about if point.labels.items() <= alert.labels.items())
        yield IndicatorView(point.id, spec, point.labels, point.value, point.weight, point.at, state, own, point.usual)


class OverviewSource:
    """Reads the overview, at most once in `KEEP_SECONDS`."""

    def __init__(
        self,
        reader: HistoryReader,
        budgets: BudgetsInForce,
        evaluation_delay_ms: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._budgets = budgets
        self._evaluation_delay_ms = evaluation_delay_ms
        self._clock = clock
        self._kept: Overview | None = None

    async def get(self) -> Overview:
        """The overview of now, or of a moment ago."""
        now_ms = round(self._clock() * 1000)
        kept = self._kept
        if kept is None or not 0 <= now_ms - kept.now_ms < KEEP_SECONDS * 1000:
            latest = await self._reader.latest()
            alerts = await self._reader.open_alerts()
            kept = overview_of(self._budgets.at(now_ms), latest, alerts, now_ms, self._evaluation_delay_ms)
            self._kept = kept
        return kept

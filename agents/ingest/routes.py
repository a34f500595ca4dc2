"""Which services need a series: the selectors of all budgets in force, indexed so that thousands of them cost little.

A service's old selectors are served for some minutes after a change took effect, its new ones from the moment they
are known: the worker decides by the log's time from when a budget holds, and must have the samples either way.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import selectors_of_budget
from streams.series.matchers import Matcher, matches_all, metric_name_of

# A worker may be behind, and a rebuilt window looks back.
GRACE_MS = 300_000

Matchers = tuple[Matcher, ...]


class Route:
    """Where the samples of a series go; one object for all series of a metric that go the same way.

    metric: its name. services: keys of the records that get it; none = no budget needs it.
    """

    __slots__ = ("metric", "services")

    def __init__(self, metric: str, services: tuple[bytes, ...]) -> None:
        self.metric = metric
        self.services = services


@dataclass(frozen=True, slots=True)
class _Version:
    """A service's selectors from one moment on."""

    selectors: frozenset[Matchers]
    effective_at_ms: int


@dataclass(slots=True)
class _Metric:
    """The selectors that may match series of one metric, found by one label's value where they name one.

    by_value: label -> value -> (matchers, service). others: those that must be tried always.
    """

    by_value: dict[str, dict[str, list[tuple[Matchers, bytes]]]] = field(default_factory=dict)
    others: list[tuple[Matchers, bytes]] = field(default_factory=list)

    def services_of(self, labels: Mapping[str, str]) -> set[bytes]:
        """The services that need a series of this metric."""
        candidates = [*self.others]
        for label, entries in self.by_value.items():
            candidates += entries.get(labels.get(label, ""), ())
        return {service for matchers, service in candidates if matches_all(matchers, labels)}


class Routes:
    """The selectors of every service, as orders came in."""

    def __init__(self) -> None:
        self._versions: dict[str, list[_Version]] = {}
        self._metrics: dict[str | None, _Metric] | None = None
        self._routes: dict[tuple[str, tuple[bytes, ...]], Route] = {}
        self._changed: set[str | None] = set()

    def define(self, service: str, budget: ServiceBudget | None, effective_at_ms: int) -> None:
        """Take a service's budget; None = it is not watched from then on.

        Raises:
            PromqlError: an expression that cannot be taken; nothing changed.
        """
        selectors = _selectors_of(budget) if budget is not None else frozenset[Matchers]()
        before = self._selectors(service)
        # What would hold from a later moment on is replaced, as the orders topic keeps the latest only.
        kept = [v for v in self._versions.get(service, []) if v.effective_at_ms < effective_at_ms]
        self._versions[service] = [*kept, _Version(selectors, effective_at_ms)]
        self._note_change(before, self._selectors(service))

    def expire(self, now_ms: int) -> None:
        """Forget selectors that were replaced long enough ago."""
        for service, versions in list(self._versions.items()):
            current = [i for i, v in enumerate(versions) if v.effective_at_ms + GRACE_MS <= now_ms]
            if current and current[-1] > 0:
                before = self._selectors(service)
                self._versions[service] = versions[current[-1] :]
                self._note_change(before, self._selectors(service))
            if current and not self._selectors(service):
                del self._versions[service]

    def take_changes(self) -> set[str | None]:
        """Metrics whose routes may have changed since the last call; None among them = any metric."""
        changed, self._changed = self._changed, set()
        if changed:
            self._routes.clear()
        return changed

    def route_of(self, labels: Iterable[tuple[str, str]]) -> Route:
        """Where a series with these labels goes."""
        if self._metrics is None:
            self._metrics = self._build()
        named = dict(labels)
        metric = named.get("__name__", "")
        services: set[bytes] = set()
        for entry in (self._metrics.get(metric), self._metrics.get(None)):
            if entry is not None:
                services |= entry.services_of(named)
        if not services:
            metric = metric if metric in self._metrics else ""  # names that nobody asked for are not remembered
        key = (metric, tuple(sorted(services)))
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = Route(*key)
        return route

    def _selectors(self, service: str) -> frozenset[Matchers]:
        return frozenset().union(*(version.selectors for version in self._versions.get(service, [])))

    def _note_change(self, before: frozenset[Matchers], after: frozenset[Matchers]) -> None:
        if before != after:
            self._changed.update(metric_name_of(matchers) for matchers in before ^ after)
            self._metrics = None

    def _build(self) -> dict[str | None, _Metric]:
        by_metric: defaultdict[str | None, list[tuple[Matchers, bytes]]] = defaultdict(list)
        for service in self._versions:
            for matchers in self._selectors(service):
                by_metric[metric_name_of(matchers)].append((matchers, service.encode()))
        return {metric: _index(entries) for metric, entries in by_metric.items()}


def _selectors_of(budget: ServiceBudget) -> frozenset[Matchers]:
    return frozenset(selector.matchers for selector in selectors_of_budget(budget))


def _index(entries: list[tuple[Matchers, bytes]]) -> _Metric:
    values: defaultdict[str, set[str]] = defaultdict(set)
    for matchers, _ in entries:
        for matcher in _equalities(matchers):
            values[matcher.name].add(matcher.value)
    metric = _Metric()
    for matchers, service in entries:
        # The label that tells most selectors apart is usually the service's own.
        chosen = max(_equalities(matchers), key=lambda matcher: len(values[matcher.name]), default=None)
        if chosen is None:
            metric.others.append((matchers, service))
        else:
            metric.by_value.setdefault(chosen.name, {}).setdefault(chosen.value, []).append((matchers, service))
    return metric


def _equalities(matchers: Matchers) -> list[Matcher]:
    return [matcher for matcher in matchers if matcher.op == "=" and matcher.value and matcher.name != "__name__"]

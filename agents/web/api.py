"""`/api/v1`: the same facts as the page, as JSON. Handlers only; what they answer is declared in `documents.py`."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from aiohttp import web

from agents.storage.outbox import Delivery as OutboxRow
from agents.web.answer import json_answer as _json
from agents.web.documents import (
    AlertDetail,
    Delivery,
    History,
    HistoryPoint,
    IndicatorItem,
    Mark,
    Page,
    ServiceItem,
)
from agents.web.history.buckets import Bucket, buckets_of
from agents.web.history.reader import HistoryReader
from agents.web.overview import IndicatorView, Overview, OverviewSource, ServiceView
from agents.web.parameters import (
    DEFAULT_POINTS,
    check_names,
    choices_of,
    cursor_of,
    encode_cursor,
    limit_of,
    range_of,
)
from agents.web.problems import NotFoundError
from agents.web.states import STATES
from budgets.event import AlertEvent, Status, format_time, parse_time
from budgets.spec.model import IndicatorKind, IndicatorSpec
from streams.frame import split_point_id

STATUSES: tuple[Status, ...] = get_args(Status)
KINDS: tuple[IndicatorKind, ...] = get_args(IndicatorKind)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_time(at_ms)


def _page(
    rows: Sequence[Any], key: Callable[[Any], str], item: Callable[[Any], object], request: web.Request
) -> Page[Any]:
    """Rows that are sorted by `key`, from the cursor on."""
    after = cursor_of(request, str)
    limit = limit_of(request)
    rest = [row for row in rows if after is None or key(row) > after]
    more = len(rest) > limit
    return Page([item(row) for row in rest[:limit]], encode_cursor(key(rest[limit - 1])) if more else None)


def service_item(view: ServiceView) -> ServiceItem:
    """A service as the API shows it."""
    states = [indicator.state for indicator in view.indicators]
    statuses = [alert.status for alert in view.alerts]
    return ServiceItem(
        view.name,
        view.state,
        {state: states.count(state) for state in STATES if state in states},
        {status: statuses.count(status) for status in STATUSES if status in statuses},
        _time(view.at),
        view.source,
    )


def indicator_item(view: IndicatorView) -> IndicatorItem:
    """An indicator as the API shows it."""
    spec = view.spec
    return IndicatorItem(
        id=view.id,
        service=spec.service,
        indicator=spec.name,
        labels=view.labels,
        kind=spec.kind,
        unit=spec.unit,
        value=view.value,
        weight=view.weight,
        at=_time(view.at),
        limit=spec.limit,
        warning=spec.warning,
        critical=spec.critical,
        direction=spec.direction,
        state=view.state,
        baseline=view.baseline,
    )


def _delivery(row: OutboxRow) -> Delivery:
    return Delivery(
        row.event_id,
        row.transition,
        row.receiver,
        row.state,
        row.attempts,
        row.last_status,
        row.last_error,
        _time(row.due_at) if row.state == "pending" else None,
        _time(row.sent_at),
    )


def _point(bucket: Bucket) -> HistoryPoint:
    return HistoryPoint(format_time(bucket.at), bucket.value, bucket.min, bucket.max, bucket.weight)


def _mark(event: AlertEvent) -> Mark:
    return Mark(event.at, event.fingerprint, event.kind, event.transition, event.severity)


class Api:
    """The handlers; `add_routes` says which path is whose."""

    def __init__(self, overview: OverviewSource, reader: HistoryReader) -> None:
        self._overview = overview
        self._reader = reader

    def add_routes(self, app: web.Application) -> None:
        """Serve every path of `/api/v1`."""
        app.router.add_get("/api/v1/services", self.services)
        app.router.add_get("/api/v1/indicators", self.indicators)
        app.router.add_get("/api/v1/indicators/{id:.+}/history", self.history)
        app.router.add_get("/api/v1/alerts", self.alerts)
        app.router.add_get("/api/v1/alerts/{fingerprint}", self.alert)

    async def services(self, request: web.Request) -> web.Response:
        """Services that have a budget."""
        check_names(request, "cursor", "limit")
        overview = await self._overview.get()
        return _json(_page(overview.services, lambda view: view.name, service_item, request))

    async def indicators(self, request: web.Request) -> web.Response:
        """Newest values against their limits."""
        check_names(request, "service", "kind", "cursor", "limit")
        service = request.query.get("service")
        kinds = choices_of(request, "kind", KINDS)
        views = [
            view
            for each in (await self._overview.get()).services
            if service is None or each.name == service
            for view in each.indicators
            if not kinds or view.spec.kind in kinds
        ]
        views.sort(key=lambda view: view.id)
        return _json(_page(views, lambda view: view.id, indicator_item, request))

    async def alerts(self, request: web.Request) -> web.Response:
        """Alerts by their latest event, the newest first."""
        check_names(request, "status", "service", "cursor", "limit")
        limit = limit_of(request)
        found = await self._reader.alerts(
            choices_of(request, "status", STATUSES),
            request.query.get("service"),
            cursor_of(request, tuple[int, str]),
            limit + 1,
        )
        items = [event for _, event in found[:limit]]
        last_at = found[len(items) - 1][0] if items else 0
        following = encode_cursor((last_at, items[-1].fingerprint)) if len(found) > limit else None
        return _json(Page(items, following))

    async def alert(self, request: web.Request) -> web.Response:
        """One alert with its past and its deliveries."""
        check_names(request)
        fingerprint = request.match_info["fingerprint"]
        events, deliveries = await self._reader.alert(fingerprint)
        if not events:
            raise NotFoundError(f"no alert has the fingerprint {fingerprint!r}")
        return _json(AlertDetail(events[-1], events, [_delivery(row) for row in deliveries]))

    async def history(self, request: web.Request) -> web.Response:
        """One indicator over time."""
        check_names(request, "from", "to", "step")
        wanted = range_of(request)
        point_id = request.match_info["id"]
        spec = _spec_of(await self._overview.get(), point_id)
        points = (await self._reader.points([point_id], wanted.from_ms, wanted.to_ms)).get(point_id)
        if spec is None and points is None:
            raise NotFoundError(f"no indicator has the id {point_id!r} and points between from and to")
        query_id, labels = split_point_id(point_id)
        service, _, name = query_id.partition("/")
        events = await self._reader.transitions(service, wanted.from_ms, wanted.to_ms)
        step_ms = wanted.step_ms or _fitting_step(wanted.to_ms - wanted.from_ms, points.at if points else None)
        return _json(
            History(
                id=point_id,
                unit=spec.unit if spec else None,
                direction=spec.direction if spec else None,
                limit=spec.limit if spec else None,
                warning=spec.warning if spec else None,
                critical=spec.critical if spec else None,
                step=step_ms,
                items=[_point(bucket) for bucket in buckets_of(points, step_ms)] if points else [],
                marks=[
                    _mark(event)
                    for event in sorted(events, key=lambda event: parse_time(event.at))
                    if event.indicator == name and labels.items() <= event.labels.items()
                ],
                next=None,
            )
        )


def _spec_of(overview: Overview, point_id: str) -> IndicatorSpec | None:
    query_id, _ = split_point_id(point_id)
    specs = (view.spec for service in overview.services for view in service.indicators)
    return next((spec for spec in specs if spec.id == query_id), None)


def _fitting_step(span_ms: int, at: "np.ndarray[Any, np.dtype[np.int64]] | None") -> int:
    """The points' own step, or the multiple of it that gives some hundred points."""
    own = int(np.diff(at).min()) if at is not None and at.size > 1 else 15_000
    return own * max(1, -(-span_ms // (own * DEFAULT_POINTS)))

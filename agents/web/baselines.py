"""`/api/v1/baselines` and `/api/v1/audit`: what is usual, who said so, and how to say it.

An order is written to the log and carried out by whoever judges the indicator; its versions are read from the audit
trail, which has every order once more with what it replaced.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from aiokafka.errors import KafkaError

from agents.access import caller_of
from agents.orders import write_orders
from agents.settings import Settings
from agents.storage.audit import AuditStore
from agents.web.answer import json_answer
from agents.web.baseline_documents import AuditItem, BaselineItem, BaselineVersion, NewBaseline, Recorded
from agents.web.documents import Page
from agents.web.history.reader import HistoryReader
from agents.web.overview import IndicatorView, OverviewSource
from agents.web.parameters import check_names, cursor_of, encode_cursor, json_body, limit_of, moment_of
from agents.web.problems import NotFoundError, WrongQuestionError, problem
from budgets.audit import AuditRecord
from budgets.baseline_order import (
    SUBJECT,
    BaselineDocument,
    Pinned,
    baseline_of_order,
    document_of,
    next_version,
)
from budgets.bootstrap import usual_of
from budgets.event import format_time
from budgets.order import Order, first_step_from
from budgets.spec.model import IndicatorSpec
from streams.detect.usual import Usual
from streams.frame import split_point_id

log = structlog.get_logger()

Write = Callable[[Settings, Iterable[Order]], Awaitable[None]]

# A minute is fine enough for hourly means, and a week of it is read at once.
_COARSE_MS = 60_000
_LONGEST_STEP_MS = 300_000
_USUAL_RANGE_MS = 28 * 86_400_000
_MOST_TEXT = 200


class Versions:
    """The newest version of every baseline, as the orders tell."""

    def __init__(self) -> None:
        self.newest: dict[str, tuple[Order, BaselineDocument]] = {}

    def on_order(self, subject: str, order: Order | None) -> None:
        """Take one order; those that are not about baselines are nobody's business here."""
        if not subject.startswith(SUBJECT):
            return
        document = baseline_of_order(order) if order is not None else None
        if order is None or document is None:
            self.newest.pop(subject.removeprefix(SUBJECT), None)
        else:
            self.newest[document.indicator] = (order, document)

    def document(self, indicator: str) -> BaselineDocument | None:
        """The newest version of one, if it has any."""
        found = self.newest.get(indicator)
        return found[1] if found is not None else None


class BaselinesApi:
    """The handlers."""

    def __init__(
        self,
        settings: Settings,
        overview: OverviewSource,
        reader: HistoryReader,
        store: AuditStore,
        versions: Versions,
        write: Write = write_orders,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._overview = overview
        self._reader = reader
        self._store = store
        self._versions = versions
        self._write = write
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Serve the paths."""
        app.router.add_get("/api/v1/audit", self.audit)
        app.router.add_get("/api/v1/baselines", self.list)
        app.router.add_get("/api/v1/baselines/{id:.+}", self.versions)
        app.router.add_post("/api/v1/baselines/{id:.+}", self.give)

    async def audit(self, request: web.Request) -> web.Response:
        """Every order, the newest first."""
        check_names(request, "subject", "cursor", "limit")
        return json_answer(await self._records(request, request.query.get("subject"), _audit_item))

    async def versions(self, request: web.Request) -> web.Response:
        """The versions of one baseline, the newest first."""
        check_names(request, "cursor", "limit")
        return json_answer(await self._records(request, SUBJECT + request.match_info["id"], _version_item))

    async def _records(
        self, request: web.Request, subject: str | None, item: Callable[[AuditRecord], object]
    ) -> Page[object]:
        limit = limit_of(request)
        found = await self._store.newest(subject, cursor_of(request, int), limit + 1)
        following = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
        return Page([item(record) for _, record in found[:limit] if record.after or subject is None], following)

    async def list(self, request: web.Request) -> web.Response:
        """What is usual for every indicator, with the version that stands in the books."""
        check_names(request, "service", "cursor", "limit")
        service, after, limit = request.query.get("service"), cursor_of(request, str), limit_of(request)
        views = [view for each in (await self._overview.get()).services for view in each.indicators]
        chosen = sorted(
            (view for view in views if service in {None, view.spec.service} and (after is None or view.id > after)),
            key=lambda view: view.id,
        )
        following = encode_cursor(chosen[limit - 1].id) if len(chosen) > limit else None
        return json_answer(Page([self._item(view) for view in chosen[:limit]], following))

    def _item(self, view: IndicatorView) -> BaselineItem:
        told, own = view.usual, self._versions.newest
        order, document = own.get(view.id) or own.get(view.spec.id) or (None, None)
        return BaselineItem(
            id=view.id,
            service=view.spec.service,
            labels=view.labels,
            unit=view.spec.unit,
            expr=view.spec.expr,
            weight_expr=view.spec.weight_expr,
            expected=told.expected if told else None,
            spread=told.spread if told else None,
            rung=told.rung if told else None,
            season=told.season if told else None,
            at=format_time(told.at) if told else None,
            version=_version(order, document) if order is not None and document is not None else None,
        )

    async def give(self, request: web.Request) -> web.Response:
        """Give an order; the answer comes when it is in the log."""
        check_names(request)
        body = await json_body(request)
        indicator = request.match_info["id"]
        spec = await self._spec_of(indicator)
        new = _read(body)
        now_ms = round(self._clock() * 1000)
        usual = new.usual
        if new.action == "create" and usual is None:
            usual = await self._recorded(indicator, spec, new, now_ms)
            if usual is None:
                return problem(HTTPStatus.CONFLICT, f"{indicator}: too few values in that time to say what is usual")
        pinned = Pinned(new.release, now_ms) if new.release is not None else None
        document = next_version(
            self._versions.document(indicator), indicator, new.action, usual=usual, pinned=pinned, note=new.note
        )
        effective_at = first_step_from(now_ms + 1, self._settings.step)
        order = Order(SUBJECT + indicator, document_of(document), caller_of(request), now_ms, effective_at)
        try:
            await self._write(self._settings, [order])
        except (KafkaError, TimeoutError) as error:
            log.warning("an order about a baseline cannot be written", error=repr(error))
            return problem(503, "Kafka does not take the order, try again", {"Retry-After": "5"})
        log.info("an order about a baseline", indicator=indicator, action=new.action, by=order.by)
        return json_answer(_version(order, document), HTTPStatus.CREATED)

    async def _spec_of(self, indicator: str) -> IndicatorSpec:
        query_id, _ = split_point_id(indicator)
        for service in (await self._overview.get()).services:
            for view in service.indicators:
                if view.spec.id == query_id:
                    return view.spec
        raise NotFoundError(f"no budget in force has the indicator {indicator!r}")

    async def _recorded(self, indicator: str, spec: IndicatorSpec, new: NewBaseline, now_ms: int) -> Usual | None:
        """What given values say was usual, or what the history says of a time."""
        if new.recorded is not None:
            return await asyncio.to_thread(usual_of, spec, new.recorded.step, _rows_of(new.recorded))
        to_ms = now_ms if new.until is None else moment_of("until", new.until)
        from_ms = to_ms - _USUAL_RANGE_MS if new.since is None else moment_of("since", new.since)
        points = (await self._reader.points([indicator], from_ms, to_ms)).get(indicator)
        if points is None:
            return None
        every = max(1, _COARSE_MS // self._settings.step)
        known = [points.at[::every], points.value[::every], points.weight[::every]]
        columns = zip(*(column.tolist() for column in known), strict=True)
        values = [(at, _number(value), _number(weight)) for at, value, weight in columns]
        return await asyncio.to_thread(usual_of, spec, every * self._settings.step, values)


def _rows_of(recorded: Recorded) -> list[tuple[int, float | None, float | None]]:
    """The values, one row each.

    Raises:
        WrongQuestionError: they have no shape.
    """
    weights = recorded.weights or [None] * len(recorded.values)
    if not 1_000 <= recorded.step <= _LONGEST_STEP_MS or recorded.since < 0 or len(weights) != len(recorded.values):
        raise WrongQuestionError("recorded: expected steps of 1 s to 5 min, and as many weights as values or none")
    rows = zip(recorded.values, weights, strict=True)
    return [(recorded.since + number * recorded.step, *row) for number, row in enumerate(rows)]


def _number(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124  NaN: not known


def _read(body: bytes) -> NewBaseline:
    try:
        new = msgspec.json.decode(body, type=NewBaseline)
    except msgspec.DecodeError as error:
        raise WrongQuestionError(f"expected {{action, …}}: {error}") from None
    if new.action == "pin" and not new.release:
        raise WrongQuestionError("release: expected the name of the release that the baseline is pinned to")
    if new.release is not None and new.action in {"update", "unpin"}:
        raise WrongQuestionError(f"release: expected with pin or create, not with {new.action}")
    sources = (new.usual, new.recorded, new.since, new.until)
    if new.action != "create" and any(source is not None for source in sources):
        raise WrongQuestionError(f"usual, recorded, since, until: expected with create, not with {new.action}")
    for text in (new.release or "", new.note):
        if len(text) > _MOST_TEXT or not text.isprintable():
            raise WrongQuestionError(f"expected printable text of at most {_MOST_TEXT} characters, got {text[:60]!r}")
    return new


def _version(order: Order, document: BaselineDocument) -> BaselineVersion:
    usual, pinned = document.usual, document.pinned
    return BaselineVersion(
        indicator=document.indicator,
        version=document.version,
        action=document.action,
        by=order.by,
        at=format_time(order.at),
        level=usual.level if usual else None,
        spread=usual.spread if usual else None,
        learned_from=format_time(usual.since) if usual else None,
        learned_to=format_time(usual.until) if usual else None,
        pinned_to=pinned.version if pinned else None,
        pinned_at=format_time(pinned.at) if pinned else None,
        variation=document.variation,
        note=document.note,
    )


def _version_item(record: AuditRecord) -> BaselineVersion:
    order = Order(record.subject, record.after, record.by, record.at, record.at)
    document = baseline_of_order(order)
    assert document is not None
    return _version(order, document)


def _audit_item(record: AuditRecord) -> AuditItem:
    return AuditItem(
        record.subject, record.by, format_time(record.at), record.before, record.after, record.previous, record.hash
    )

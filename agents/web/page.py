"""The status page: one page, made here, that asks for its newest state every few seconds (htmx) or on a reload.

`page_view` says what is shown and in which order, the templates say how. Everything is escaped by the templates.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlsplit

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agents.settings import Settings, split_listen
from agents.storage.history import PointColumns
from agents.web import wording
from agents.web.history.reader import HistoryReader
from agents.web.incidents import IncidentView, group_by_incident
from agents.web.overview import IndicatorView, Overview, OverviewSource, ServiceView, is_alarming
from agents.web.sparkline import HEIGHT, SPAN_MS, WIDTH, Sparkline, sparkline_of
from agents.web.states import STATES
from budgets.event import AlertEvent, format_time, parse_time

STATIC = Path(__file__).with_name("static")
_TEMPLATES = Path(__file__).with_name("templates")
_ALERT_ORDER = ("critical", "warning", "info")
_SHOWN_ALERTS = 100

# What is wrong with Driftline itself: where, and what.
Problems = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IndicatorRow:
    """One line of a service's table."""

    view: IndicatorView
    sparkline: Sparkline | None


@dataclass(frozen=True, slots=True)
class ServiceSection:
    """One service with its lines, the worst first."""

    view: ServiceView
    anchor: str
    rows: tuple[IndicatorRow, ...]


@dataclass(frozen=True, slots=True)
class PageView:
    """What the page shows, in its order. verdict: the first line; title: the browser tab's.

    open_alerts: how many there are; the incidents shown have `hidden_alerts` fewer.
    """

    overview: Overview
    verdict: str
    tone: str
    title: str
    incidents: tuple[IncidentView, ...]
    open_alerts: int
    hidden_alerts: int
    sections: tuple[ServiceSection, ...]
    problems: Problems
    write_url: str


def _alert_rank(alert: AlertEvent) -> tuple[bool, int, bool]:
    return alert.status == "pending", _ALERT_ORDER.index(alert.severity), alert.status == "stale"


def _first_incidents(alerts: Sequence[AlertEvent]) -> tuple[IncidentView, ...]:
    """Whole incidents, as long as there is room; the first one in any case."""
    shown: list[IncidentView] = []
    room = _SHOWN_ALERTS
    for incident in group_by_incident(alerts, _alert_rank):
        if shown and len(incident.alerts) > room:
            break
        shown.append(IncidentView(incident.id, incident.alerts[:_SHOWN_ALERTS]))
        room -= len(incident.alerts)
    return tuple(shown)


def _verdict(overview: Overview) -> tuple[str, str]:
    """The one sentence to read at night, and its tone."""
    states = [view.state for service in overview.services for view in service.indicators]
    alarming = sum(is_alarming(alert) for alert in overview.alerts)
    firing = f"{alarming} alert{'s' * (alarming != 1)} firing. " if alarming else ""
    if not overview.services:
        return f"{firing}No budgets yet", "critical" if alarming else "stale"
    worst = min((service.state for service in overview.services), key=STATES.index)
    if not alarming and set(states) == {"ok"}:
        return f"All {len(states)} indicators are within their limits", "ok"
    counts = ", ".join(f"{states.count(state)} {wording.STATE_WORDS[state]}" for state in STATES if state in states)
    return f"{firing}Of {len(states)} indicators: {counts}", worst


def page_view(
    overview: Overview, points: Mapping[str, PointColumns], problems: Problems, write_url: str, step_ms: int
) -> PageView:
    """What to show: what is broken first."""
    sections = []
    for service in sorted(overview.services, key=lambda each: (STATES.index(each.state), each.name)):
        views = sorted(service.indicators, key=lambda view: (STATES.index(view.state), not view.alerts))
        rows = tuple(
            IndicatorRow(
                view,
                sparkline_of(view.spec, points[view.id], overview.now_ms, step_ms) if view.id in points else None,
            )
            for view in views
        )
        sections.append(ServiceSection(service, "service-" + quote(service.name, safe=""), rows))
    incidents = _first_incidents(overview.alerts)
    shown = sum(len(incident.alerts) for incident in incidents)
    verdict, tone = _verdict(overview)
    firing = sum(is_alarming(alert) for alert in overview.alerts)
    return PageView(
        overview,
        verdict,
        tone,
        f"({firing}) Driftline" if firing else "Driftline",
        incidents,
        len(overview.alerts),
        len(overview.alerts) - shown,
        tuple(sections),
        problems,
        write_url,
    )


def safe_link(url: str) -> str:
    """The address if it may stand in a link, "" otherwise: a budget file must not bring a script."""
    try:
        return url if urlsplit(url).scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def write_url_of(settings: Settings) -> str:
    """Where a Prometheus may write to, as far as this role knows."""
    host, port = split_listen(settings.ingest.listen)
    if host in {"0.0.0.0", "::"}:  # noqa: S104  compared, not listened on
        host = "INGEST-HOST"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/api/v1/write"


def create_environment() -> Environment:
    """Templates with what they may call."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "value": wording.format_value,
        "age": wording.format_age,
        "moment": wording.format_moment,
        "change": wording.format_ratio,
        "link": safe_link,
        "ms": parse_time,
    }
    environment.globals |= {
        "state_words": wording.STATE_WORDS,
        "broken_bound": wording.broken_bound,
        "bounds_of": wording.bounds_of,
        "evidence_of": wording.evidence_of,
        "onset_of": wording.onset_of,
        "change_moment": wording.change_moment,
        "format_time": format_time,
        "spark": {"width": WIDTH, "height": HEIGHT, "hours": SPAN_MS // 3_600_000},
        "asset": {path.name: f"/static/{path.name}?v={_digest(path)}" for path in STATIC.iterdir()},
        "version": version("driftline"),
    }
    return environment


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class StatusPage:
    """`/` and the part of it that refreshes itself, `/now`."""

    def __init__(
        self,
        settings: Settings,
        overview: OverviewSource,
        reader: HistoryReader,
        problems: Callable[[], Problems],
    ) -> None:
        self._overview = overview
        self._reader = reader
        self._problems = problems
        self._step_ms = settings.step
        self._write_url = write_url_of(settings)
        self._environment = create_environment()
        self._kept: tuple[Overview, Problems, PageView] | None = None

    def add_routes(self, app: web.Application) -> None:
        """Serve the page and what belongs to it."""
        app.router.add_get("/", self.page)
        app.router.add_get("/now", self.now)
        app.router.add_static("/static", STATIC)

    async def page(self, _: web.Request) -> web.Response:
        """The whole page."""
        return self._answer("page.html", await self._view())

    async def now(self, _: web.Request) -> web.Response:
        """Its changing part."""
        return self._answer("now.html", await self._view())

    async def _view(self) -> PageView:
        overview = await self._overview.get()
        problems = dict(self._problems())
        if self._kept is None or self._kept[0] is not overview or self._kept[1] != problems:
            ids = [view.id for service in overview.services for view in service.indicators]
            points = await self._reader.points(ids, overview.now_ms - SPAN_MS, overview.now_ms)
            view = page_view(overview, points, problems, self._write_url, self._step_ms)
            self._kept = (overview, problems, view)
        return self._kept[2]

    def _answer(self, template: str, view: PageView) -> web.Response:
        text = self._environment.get_template(template).render(page=view, now_ms=view.overview.now_ms)
        response = web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})
        response.enable_compression()
        return response

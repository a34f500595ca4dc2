"""The status page without a browser: what it says, in which order, and that nothing in it can bite."""

import re
import time
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from agents.web.page import STATIC, safe_link
from budgets.event import AlertEvent, IncidentLead, Mention
from tests.unit.alert_events import alert_event
from tests.unit.web_house import House, error_rate, spec, throughput, web_house

HOSTILE = '"><script>alert(1)</script>{{7*7}}'


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        yield house


class Text(HTMLParser):
    """The words of a page, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]


async def look(house: House, path: str = "/") -> Text:
    async with house.client.get(path) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        return Text(await answer.text())


async def test_without_budgets_it_says_how_to_give_one(house: House) -> None:
    page = await look(house)
    assert "No budgets yet" in page.text
    assert "driftline up --budgets" in page.text


async def test_without_samples_it_says_how_to_point_a_prometheus_here(house: House) -> None:
    house.promise("auth-service", spec("auth-service", "response_time_p95"))
    page = await look(house)
    assert "remote_write: - url: http://127.0.0.1:9797/api/v1/write" in page.text
    assert "Of 1 indicators: 1 no data" in page.text


async def test_what_is_broken_comes_first(house: House) -> None:
    for service, value in (("a-fine", 100.0), ("b-warned", 180.0), ("c-broken", 300.0)):
        house.promise(service, throughput(service), spec(service, "latency"))
        house.measure({f"{service}/latency": value, f"{service}/throughput": 2000.0})
    house.promise("d-silent", spec("d-silent", "latency"))
    house.measure({"d-silent/latency": 1.0}, steps_ago=20)
    await house.project()
    ids = (await look(house)).ids()
    order = [name for name in ids if name.startswith("service-") and not name.endswith("-heading")]
    assert order == ["service-c-broken", "service-b-warned", "service-d-silent", "service-a-fine"]
    assert ids.index("c-broken/latency") < ids.index("c-broken/throughput")


async def test_alerts_say_what_since_when_and_why(house: House) -> None:
    house.promise("auth-service", spec("auth-service", "response_time_p95"))
    house.log.alert(alert_event("firing", -8, start_ms=house.now_ms, started=-8, summary="p95 is 231 ms"))
    await house.project()
    page = await look(house)
    for words in (
        "1 alert firing.",
        "critical, firing auth-service: response time p95 (budget) p95 is 231 ms",
        "baseline 171.2 ms",
        "change +35.2 % (95 % interval +29 % to +41 %)",
        "z-score 5.1",
        "found by zscore, change ratio",
        "Runbook",
    ):
        assert words in page.text
    assert re.search(r"since \d\d:\d\d:\d\d UTC \(2 min ago\)|since \d+ \w+ \d\d:\d\d UTC \(2 min ago\)", page.text)


async def test_firing_comes_before_pending_and_critical_before_warning(house: House) -> None:
    for indicator, transition, severity in (
        ("a", "pending", "critical"),
        ("b", "firing", "warning"),
        ("c", "firing", "critical"),
        ("d", "stale", "warning"),
    ):
        event = alert_event(transition, 0, start_ms=house.now_ms, indicator=indicator, severity=severity)  # type: ignore[arg-type]  # literals
        house.log.alert(event)
    await house.project()
    heads = re.findall(r"(critical|warning), (firing|stale|pending) auth-service: (\w)", (await look(house)).text)
    assert [indicator for _, _, indicator in heads] == ["c", "b", "d", "a"]


async def test_a_stale_value_is_never_shown_as_if_it_were_now(house: House) -> None:
    house.promise("api", spec("api", "latency"))
    house.measure({"api/latency": 100.0}, steps_ago=40)
    await house.project()
    page = await look(house)
    assert "stale nothing for 10 min was 100 ms limit 200 ms" in page.text
    assert "All 1 indicators are within their limits" not in page.text


async def test_the_browser_tab_says_how_much_is_firing(house: House) -> None:
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms))
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, indicator="x", severity="info", kind="anomaly"))
    await house.project()
    async with house.client.get("/now") as answer:
        assert "<title>(1) Driftline</title>" in await answer.text()


async def test_problems_with_budget_files_are_in_a_banner(house: House) -> None:
    house.problems["budgets/auth.json"] = "line 7: budget_ms: expected a number"
    page = await look(house)
    assert "Driftline itself needs attention budgets/auth.json line 7: budget_ms: expected a number" in page.text


async def test_hostile_names_are_only_words(house: House) -> None:
    house.promise(HOSTILE, spec(HOSTILE, HOSTILE), error_rate(HOSTILE))
    house.measure({f'{HOSTILE}/error_rate{{path="<img src=x onerror=alert(1)>"}}': 1.0})
    event = alert_event("firing", 0, start_ms=house.now_ms, service=HOSTILE, summary=HOSTILE, labels={"x": HOSTILE})
    annotations = msgspec.structs.replace(
        event.annotations, runbook_url="javascript:alert(1)", dashboard_url='https://x.example/"onmouseover="alert(1)'
    )
    house.log.alert(msgspec.structs.replace(event, annotations=annotations))
    house.problems[HOSTILE] = HOSTILE
    await house.project()
    async with house.client.get("/") as answer:
        html = await answer.text()
    page = Text(html)
    assert page.text.count("{{7*7}}") >= 5
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert all(attributes.get("src", "").startswith("/static/") for attributes in scripts)  # type: ignore[union-attr]  # not None
    assert "<img" not in html
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    links = [attributes.get("href") or "" for tag, attributes in page.tags if tag == "a"]
    assert not any("javascript" in link for link in links)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://runbooks.example/p95", "https://runbooks.example/p95"),
        ("http://x", "http://x"),
        ("javascript:alert(1)", ""),
        ("JAVASCRIPT:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//evil.example", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_only_web_addresses_become_links(url: str, link: str) -> None:
    assert safe_link(url) == link


async def test_every_answer_forbids_what_the_page_does_not_need(house: House) -> None:
    for path in ("/", "/now", "/api/v1/services", "/nothing", "/-/healthy", "/static/style.css"):
        async with house.client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_stands_on_its_own(house: House) -> None:
    """No inline script or style, nothing from another origin, every asset is there, ids are unique."""
    house.promise("api", spec("api", "latency"))
    house.measure({"api/latency": 100.0})
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms))
    await house.project()
    page = await look(house)
    assert len(set(page.ids())) == len(page.ids())
    assert not any("style" in attributes for _, attributes in page.tags)
    assert "style" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        address = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if address:
            assert address.startswith("/static/")
            async with house.client.get(address) as answer:
                assert answer.status == 200


async def test_it_can_be_read_by_a_screen_reader(house: House) -> None:
    house.promise("api", spec("api", "latency"))
    house.measure({"api/latency": 100.0})
    await house.project()
    page = await look(house)
    tags = [tag for tag, _ in page.tags]
    for landmark in ("header", "main", "nav", "footer", "h1"):
        assert landmark in tags
    headers = [attributes for tag, attributes in page.tags if tag == "th"]
    assert {attributes.get("scope") for attributes in headers} == {"col", "row"}
    (picture,) = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert picture["role"] == "img"
    assert picture["aria-label"] == "Last 3 hours: 100 ms to 100 ms, limit 200 ms"
    known = set(page.ids())
    for _, attributes in page.tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= known


def test_vendored_scripts_come_with_their_licences() -> None:
    for name in ("htmx", "idiomorph"):
        assert list(STATIC.glob(f"{name}-*.min.js"))
        assert "Zero-Clause BSD" in (STATIC / f"{name}-LICENSE.txt").read_text(encoding="utf-8")


async def test_five_hundred_indicators_are_shown_quickly(house: House) -> None:
    for service in (f"service-{number:02}" for number in range(50)):
        house.promise(service, *(spec(service, f"indicator_{number}") for number in range(10)))
    ids = [f"service-{service:02}/indicator_{number}" for service in range(50) for number in range(10)]
    for ago in range(0, 720, 4):
        house.measure(dict.fromkeys(ids, 100.0 + ago % 37), steps_ago=ago)
    await house.project()
    started = time.perf_counter()
    page = await look(house)
    first = time.perf_counter() - started
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 500
    # Several times what it takes on a slow machine.
    assert first < 5.0


async def test_what_has_one_cause_stands_together_with_what_it_began_with_first(house: House) -> None:
    def event(indicator: str, service: str, started: int, change: float, incident: str) -> AlertEvent:
        made = alert_event("firing", 0, start_ms=house.now_ms, indicator=indicator, service=service, started=started)
        evidence = msgspec.structs.replace(made.evidence, change_ratio=change)
        return msgspec.structs.replace(made, evidence=evidence, incident=incident)

    alerts = [
        event("small", "api", -3, 0.1, "one"),
        event("alone", "shop", -5, 9.0, "two"),
        event("large", "web", -2, 3.4, "one"),
        event("first", "api", -8, 0.352, "one"),
    ]
    first, large = (
        Mention(alert.service, alert.indicator, alert.fingerprint, alert.starts_at, alert.evidence.change_ratio)
        for alert in (alerts[3], alerts[2])
    )
    for alert in alerts:
        house.log.alert(msgspec.structs.replace(alert, lead=IncidentLead(("api", "web"), first, large)))
    await house.project()
    page = await look(house)
    heads = re.findall(r"critical, firing \S+: (\w+) \(budget\)", page.text)
    assert heads == ["first", "large", "small", "alone"]
    assert re.search(
        r"One incident: 3 alerts of 2 services\. It began with api first \+35\.2 % ?, since \S+.* "
        r"\(2 min ago\) ?; the largest change is web large \+340 % ?, since",
        page.text,
    )
    assert page.text.count("One incident") == 1


async def test_alerts_of_many_incidents_are_shown_in_whole_incidents(house: House) -> None:
    for number in range(120):
        event = alert_event("firing", 0, start_ms=house.now_ms, indicator=f"i{number}")
        house.log.alert(msgspec.structs.replace(event, incident=f"incident-{number // 3:03d}"))
    await house.project()
    page = await look(house)
    assert page.text.count("critical, firing") == 99
    assert "Open alerts 120" in page.text
    assert "21 more:" in page.text

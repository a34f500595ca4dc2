"""The status page in a real, headless Chromium: it refreshes itself, bites nobody and asks nobody else."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.servers.tools import find_program
from tests.unit.alert_events import alert_event
from tests.unit.web_house import House, error_rate, spec, throughput, web_house

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HOSTILE = '"><img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
# Chromium refuses its sandbox to root; the rest keeps it from calling home.
FLAGS = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
]
REFRESHED_MS = 20_000


class Watched:
    """A page with everything that it complained about and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _complain(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        yield house


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = find_program("Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, house: House, **options: Any) -> AsyncIterator[Watched]:
    """The page in a fresh context; at the end nothing may have been complained about or asked elsewhere."""
    context: BrowserContext = await browser.new_context(**options)
    watched = Watched(await context.new_page())
    await watched.page.goto(house.url)
    yield watched
    assert watched.complaints == []
    assert all(request.startswith(house.url + "/") for request in watched.requests), watched.requests
    await context.close()


async def a_quiet_house(house: House) -> None:
    house.promise("auth-service", spec("auth-service", "response_time_p95"), throughput("auth-service"))
    house.promise("policy-service", error_rate("policy-service"))
    for ago in range(200, -1, -1):
        house.measure({"auth-service/response_time_p95": 120.0 + ago % 9, "auth-service/throughput": 1100.0}, ago)
        house.measure({"policy-service/error_rate": 0.001}, ago)
    await house.project()


async def test_services_are_shown_and_an_alert_appears_and_goes_by_itself(house: House, browser: Browser) -> None:
    await a_quiet_house(house)
    async with opened(browser, house) as watched:
        page = watched.page
        await expect(page.get_by_role("heading", level=1)).to_have_text("All 3 indicators are within their limits")
        await expect(page.get_by_role("row", name="response time p95")).to_contain_text("120 ms")
        await expect(page.get_by_role("img", name="Last 3 hours: 120 ms to 128 ms, limit 200 ms")).to_be_visible()
        await expect(page.get_by_role("article")).to_have_count(0)
        house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, summary="p95 is 231 ms"))
        await house.project()
        await expect(page.get_by_role("article")).to_contain_text("p95 is 231 ms", timeout=REFRESHED_MS)
        await expect(page).to_have_title("(1) Driftline")
        house.log.alert(alert_event("resolved", 1, start_ms=house.now_ms))
        await house.project()
        await expect(page.get_by_role("article")).to_have_count(0, timeout=REFRESHED_MS)
        await expect(page).to_have_title("Driftline")


async def test_a_refresh_keeps_place_focus_and_selection_and_replaces_nothing(house: House, browser: Browser) -> None:
    for number in range(30):
        house.promise(f"service-{number:02}", spec(f"service-{number:02}", "latency"))
        house.measure({f"service-{number:02}/latency": 100.0})
    await house.project()
    async with opened(browser, house, viewport={"width": 1000, "height": 600}) as watched:
        page = watched.page
        await page.evaluate(
            """() => {
                const row = document.getElementById('service-20/latency');
                row.scrollIntoView(); row.marked = true; window.place = scrollY;
                document.querySelector('#to-service-service-20 a').focus({preventScroll: true});
                getSelection().selectAllChildren(row.querySelector('th'));
            }"""
        )
        house.measure({"service-20/latency": 150.0})
        await house.project()
        await expect(page.get_by_role("row", name="latency").nth(20)).to_contain_text("150 ms", timeout=REFRESHED_MS)
        kept = await page.evaluate(
            """() => [
                document.getElementById('service-20/latency').marked === true,
                scrollY === window.place && scrollY > 0,
                document.activeElement.textContent,
                getSelection().toString().trim(),
            ]"""
        )
        assert kept == [True, True, "service-20", "latency"]


async def test_hostile_names_are_shown_and_never_run(house: House, browser: Browser) -> None:
    house.promise(HOSTILE, spec(HOSTILE, "latency"))
    house.measure({f"{HOSTILE}/latency": 100.0})
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, service=HOSTILE, summary=HOSTILE))
    house.problems[HOSTILE] = HOSTILE
    await house.project()
    async with opened(browser, house) as watched:
        page = watched.page
        await expect(page.locator(".summary")).to_have_text(HOSTILE)
        async with page.expect_response("**/now", timeout=REFRESHED_MS):
            pass
        await expect(page.locator(".summary")).to_have_text(HOSTILE)
        await expect(page).to_have_title("(1) Driftline")
        assert await page.locator("img:not([role])").count() == 0


async def test_when_the_server_is_gone_the_page_says_so_and_recovers(house: House, browser: Browser) -> None:
    await a_quiet_house(house)
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(house.url)
    await expect(page.get_by_role("alert")).to_be_hidden()
    await context.set_offline(offline=True)
    await expect(page.get_by_role("alert")).to_contain_text("No answer from Driftline since", timeout=REFRESHED_MS)
    await context.set_offline(offline=False)
    await expect(page.get_by_role("alert")).to_be_hidden(timeout=REFRESHED_MS)
    await context.close()


async def test_it_works_without_scripts(house: House, browser: Browser) -> None:
    await a_quiet_house(house)
    async with opened(browser, house, java_script_enabled=False) as watched:
        page = watched.page
        await expect(page.get_by_role("heading", level=1)).to_have_text("All 3 indicators are within their limits")
        house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, summary="p95 is 231 ms"))
        await house.project()
        await expect(page.get_by_role("article")).to_contain_text("p95 is 231 ms", timeout=30_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_it_fits_the_screen_and_its_words_can_be_read(
    house: House, browser: Browser, scheme: Any, width: int
) -> None:
    await a_quiet_house(house)
    house.measure({'policy-service/error_rate{route="/a/very/long/route/that/does/not/end/anywhere/soon"}': 0.9})
    house.log.alert(alert_event("firing", 0, start_ms=house.now_ms, summary="a" * 200))
    await house.project()
    async with opened(browser, house, color_scheme=scheme, viewport={"width": width, "height": 800}) as watched:
        page = watched.page
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        contrasts = await page.evaluate(CONTRASTS)
        assert contrasts, "nothing was compared"
        too_weak = {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}
        assert too_weak == {}


# WCAG 2 contrast of every text with the first opaque ground behind it: {text: ratio}.
CONTRASTS = """() => {
    const parse = color => {
        const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
        return {rgb: [r, g, b], a};
    };
    const light = rgb => {
        const [r, g, b] = rgb.map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = element => {
        for (let e = element; e; e = e.parentElement) {
            const found = parse(getComputedStyle(e).backgroundColor);
            if (found.a === 1) return found.rgb;
        }
        return [255, 255, 255];
    };
    const ratios = {};
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
        if (!text || !element.checkVisibility() || element.closest('noscript')) continue;
        const [x, y] = [light(parse(getComputedStyle(element).color).rgb), light(ground(element))];
        ratios[text] = Math.min(ratios[text] ?? 99, (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05));
    }
    return ratios;
}"""

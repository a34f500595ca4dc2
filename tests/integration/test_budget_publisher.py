"""Budget files on their way into a real log: start, change, bad, good again; what roles, page and receivers see."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from prometheus_client import CollectorRegistry

from agents import budget_files
from agents.budget_alert import FINGERPRINT, BudgetFilesAlert
from agents.budget_files import BudgetPublisher
from agents.kafka.clients import create_consumer, read_to_end
from agents.kafka.codecs import decode_alert
from agents.metrics import OrdersMetrics
from agents.orders import OrderReader, read_order
from agents.settings import Settings, SettingsError
from budgets.event import AlertEvent
from budgets.order import Order
from tests.servers.embedded import EmbeddedBroker

pytestmark = pytest.mark.integration

STEP_MS = 1000


@pytest.fixture
def settings(embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(budget_files, "POLL_SECONDS", 0.05)
    return Settings(kafka=embedded_broker.kafka, step=STEP_MS)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "budgets"
    directory.mkdir()
    write(directory / "api.yaml", "api", 10)
    write(directory / "shop.yaml", "shop", 20)
    return directory


def write(path: Path, service: str, rps: int) -> None:
    path.write_text(f"{service}: {{throughput: {{min_rps: {rps}}}}}\n", encoding="utf-8")


@asynccontextmanager
async def publishing(settings: Settings, *paths: Path) -> AsyncIterator[BudgetPublisher]:
    publisher = BudgetPublisher(settings, paths)
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def records_of(settings: Settings, topic: str, partition: int = 0) -> list[ConsumerRecord]:
    consumer = create_consumer(settings.kafka, "test")
    await consumer.start()
    try:
        place = TopicPartition(settings.topic(topic), partition)
        return [record async for record in read_to_end(consumer, place)]
    finally:
        await consumer.stop()


async def orders_of(settings: Settings) -> list[Order]:
    found = [read_order(record)[1] for record in await records_of(settings, "orders")]
    return [order for order in found if order is not None]


async def alerts_of(settings: Settings) -> list[AlertEvent]:
    partitions = range(settings.kafka.partitions)
    return [decode_alert(record) for number in partitions for record in await records_of(settings, "alerts", number)]


async def state_of(settings: Settings) -> bytes | None:
    latest = None
    for number in range(settings.kafka.partitions):
        for record in await records_of(settings, "alert-state", number):
            assert record.key == FINGERPRINT.encode()
            latest = record.value
    return latest


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_start_publishes_every_budget_for_one_step_soon(settings: Settings, files: Path) -> None:
    before_ms = time.time() * 1000
    async with publishing(settings, files) as publisher:
        orders = await orders_of(settings)
        assert [order.subject for order in orders] == ["budget/api", "budget/shop"]
        (effective_at,) = {order.effective_at for order in orders}
        assert effective_at % STEP_MS == 0
        assert before_ms < effective_at <= time.time() * 1000 + STEP_MS
        assert {order.by for order in orders} == {"budget-files"}
        assert (publisher.problem, publisher.problems) == (None, {})


async def test_a_given_step_is_when_the_budgets_of_the_start_hold(settings: Settings, files: Path) -> None:
    publisher = BudgetPublisher(settings, [files], effective_at_ms=0)
    await publisher.start()
    try:
        assert {order.effective_at for order in await orders_of(settings)} == {0}
        write(files / "api.yaml", "api", 11)
        await until(lambda: has_orders(settings, 3))
        assert (await orders_of(settings))[-1].effective_at > 0
    finally:
        await publisher.stop()


async def has_orders(settings: Settings, count: int) -> bool:
    return len(await orders_of(settings)) >= count


async def test_what_the_log_holds_is_not_published_again(settings: Settings, files: Path) -> None:
    for _ in range(2):
        async with publishing(settings, files):
            pass
    assert len(await orders_of(settings)) == 2
    assert await alerts_of(settings) == []


async def test_a_changed_file_of_holidays_changes_the_budgets_that_name_it(settings: Settings, files: Path) -> None:
    (files / "berlin.txt").write_text("2026-12-25\n", encoding="utf-8")
    text = "api: {holidays: berlin.txt, throughput: {min_rps: 10}}\n"
    (files / "api.yaml").write_text(text, encoding="utf-8")
    async with publishing(settings, files):
        (files / "berlin.txt").write_text("2026-12-25\n2026-12-26 off\n", encoding="utf-8")
        await until(lambda: has_orders(settings, 3))
    changed = (await orders_of(settings))[-1]
    assert changed.subject == "budget/api"
    assert changed.document is not None
    assert changed.document["indicators"][0]["holidays"] == ["2026-12-25", "2026-12-26"]


async def test_a_changed_file_takes_effect_at_one_step_and_touches_nothing_else(
    settings: Settings, files: Path
) -> None:
    heard: list[tuple[str, Order | None]] = []
    reader = OrderReader(
        settings, lambda subject, order: heard.append((subject, order)), OrdersMetrics(CollectorRegistry())
    )
    async with publishing(settings, files):
        await reader.start()
        assert len(heard) == 2
        (files / "shop.yaml").unlink()
        write(files / "api.yaml", "api", 11)
        await until(lambda: len(heard) >= 4)
        await reader.stop()
    (_, changed), (_, removed) = heard[2:]
    assert changed is not None
    assert changed.document is not None
    assert changed.document["indicators"][0]["limit"] == 11.0
    assert removed is not None
    assert (removed.subject, removed.document) == ("budget/shop", None)
    assert changed.effective_at == removed.effective_at > changed.at


async def test_a_mounted_config_map_is_followed_over_its_swap(settings: Settings, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    for version, rps in (("..1", 10), ("..2", 11)):
        (mount / version).mkdir()
        write(mount / version / "api.yaml", "api", rps)
    (mount / "..data").symlink_to("..1")
    (mount / "api.yaml").symlink_to("..data/api.yaml")
    async with publishing(settings, mount):
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
        await until(lambda: has_orders(settings, 2))
    document = (await orders_of(settings))[-1].document
    assert document is not None
    assert document["indicators"][0]["limit"] == 11.0


async def test_a_bad_file_keeps_the_last_good_budgets_and_says_so_until_it_is_good(
    settings: Settings, files: Path
) -> None:
    registry = CollectorRegistry()
    async with publishing(settings, files) as publisher:
        publisher.register(registry)
        bad = files / "api.yaml"
        bad.write_text("api:\n  throughput: {min_rsp: 11}\n", encoding="utf-8")
        write(files / "shop.yaml", "shop", 21)
        await until(lambda: has_alerts(settings, 1))
        problem = f"{bad}:2: api.throughput.min_rsp: unknown key, did you mean min_rps?"
        assert publisher.problems == {str(bad): problem}
        assert registry.get_sample_value("driftline_budget_files_refused") == 1.0
        assert len(await orders_of(settings)) == 2
        (firing,) = await alerts_of(settings)
        assert await state_of(settings) is not None
        write(bad, "api", 11)
        await until(lambda: has_alerts(settings, 2))
        assert publisher.problems == {}
        assert registry.get_sample_value("driftline_budget_files_refused") == 0.0
    resolved = next(event for event in await alerts_of(settings) if event.transition == "resolved")
    assert (firing.kind, firing.service, firing.indicator) == ("budget", "driftline", "budget_files")
    assert (firing.severity, firing.transition, firing.status) == ("warning", "firing", "firing")
    assert firing.annotations.description == problem
    assert (resolved.episode, resolved.fingerprint, resolved.starts_at) == (
        firing.episode,
        FINGERPRINT,
        firing.starts_at,
    )
    assert resolved.id != firing.id
    assert await state_of(settings) is None
    assert [order.subject for order in (await orders_of(settings))[2:]] == ["budget/api", "budget/shop"]


async def has_alerts(settings: Settings, count: int) -> bool:
    return len(await alerts_of(settings)) >= count


async def test_a_restart_goes_on_with_the_alert_and_the_last_good_budgets(settings: Settings, files: Path) -> None:
    async with publishing(settings, files):
        pass
    (files / "api.yaml").write_text("api: 1\n", encoding="utf-8")
    for _ in range(2):
        async with publishing(settings, files) as publisher:
            assert list(publisher.problems) == [str(files / "api.yaml")]
            assert publisher.problem is None
    assert [event.transition for event in await alerts_of(settings)] == ["firing"]
    assert len(await orders_of(settings)) == 2
    write(files / "api.yaml", "api", 10)
    async with publishing(settings, files):
        assert [event.transition for event in await alerts_of(settings)] == ["firing", "resolved"]


async def test_an_alert_that_another_publisher_raised_is_not_raised_again(settings: Settings) -> None:
    first, second = BudgetFilesAlert(settings), BudgetFilesAlert(settings)
    assert await first.update({"a.yaml": "a.yaml:1: wrong"}) is not None
    assert await second.update({"a.yaml": "a.yaml:1: wrong"}) is None
    resolved = await second.update({})
    assert resolved is not None
    assert await first.update({}) is None
    assert {event.id for event in await alerts_of(settings)} > {resolved.id}


async def test_an_alert_that_comes_back_within_a_step_has_an_id_of_its_own(settings: Settings) -> None:
    alert = BudgetFilesAlert(settings)
    for _ in range(3):
        await alert.update({"a.yaml": "a.yaml:1: wrong"})
        await alert.update({})
    events = await alerts_of(settings)
    assert len({event.id for event in events}) == len(events) == 6
    assert len({event.episode for event in events}) == 3


async def test_a_first_start_with_wrong_files_is_refused(settings: Settings, files: Path) -> None:
    (files / "api.yaml").write_text("api: 1\n", encoding="utf-8")
    publisher = BudgetPublisher(settings, [files])
    with pytest.raises(SettingsError, match=r"api\.yaml:1: api: expected a mapping of indicators, got 1"):
        await publisher.start()
    await publisher.stop()
    assert await orders_of(settings) == []


async def test_a_publisher_waits_for_kafka_and_says_so(
    embedded_broker: EmbeddedBroker, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_files, "POLL_SECONDS", 0.05)
    embedded_broker.kill()
    publisher = BudgetPublisher(Settings(kafka=embedded_broker.kafka, step=STEP_MS), [files])
    running = asyncio.create_task(publisher.run())
    await until(lambda: (publisher.problem or "").startswith("budget files cannot be published"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await publisher.stop()

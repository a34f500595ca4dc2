"""Topics on a real cluster: declared once, brought back to what is declared, partitions never added."""

import pytest
from aiokafka.errors import KafkaConnectionError
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not listed as exported

import agents.kafka.admin
from agents.kafka.admin import TopicState, create_topics, list_topics
from agents.settings import Settings, SettingsError, load_settings
from agents.stack import free_port
from tests.servers.kafka import KafkaCluster
from tests.servers.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(apache_kafka: KafkaCluster, topic_prefix: str) -> Settings:
    kafka = {"bootstrap": apache_kafka.bootstrap, "topic_prefix": topic_prefix, "partitions": 3}
    return load_settings(environ={}, overrides={"kafka": kafka})


async def states_of(settings: Settings) -> dict[str, TopicState]:
    return {state.topic.name: state for state in await list_topics(settings)}


async def make(settings: Settings, name: str, partitions: int, config: dict[str, str] | None = None) -> None:
    client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    topic = NewTopic(settings.topic(name), partitions, 1, config=config or {})
    for future in client.create_topics([topic]).values():
        future.result(timeout=20)


async def test_topics_are_made_as_declared_and_making_them_again_changes_nothing(settings: Settings) -> None:
    assert {state.partitions for state in await list_topics(settings)} == {0}
    await create_topics(settings)
    states = await states_of(settings)
    assert states["samples"].partitions == states["indicators"].partitions == 3
    assert states["orders"].partitions == 1
    for state in states.values():
        assert state.config == state.topic.config()
    await create_topics(settings)
    assert await states_of(settings) == states


async def test_retention_that_differs_is_put_right_and_other_settings_stay(settings: Settings) -> None:
    await make(settings, "alerts", 3, {"retention.ms": "1000", "segment.bytes": "12345678"})
    await create_topics(settings)

    async def is_right() -> bool:
        state = (await states_of(settings))["alerts"]
        return state.config == state.topic.config()

    await until(is_right, 10, "the broker has the declared retention")
    admin = agents.kafka.admin._Admin(settings)
    name = settings.topic("alerts")
    assert admin._configs([name])[name]["segment.bytes"] == "12345678"


async def test_partitions_are_never_added(settings: Settings) -> None:
    await create_topics(settings)
    more = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"partitions": 6})})
    await create_topics(more)
    state = (await states_of(more))["samples"]
    assert (state.partitions, state.wanted_partitions) == (3, 6)


async def test_topics_whose_partitions_belong_together_must_have_equally_many(settings: Settings) -> None:
    await make(settings, "samples", 5)
    with pytest.raises(SettingsError, match=r"equally many partitions: .*samples: 5"):
        await create_topics(settings)


async def test_a_cluster_that_is_not_there_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.kafka.admin, "REQUEST_SECONDS", 0.5)
    nowhere = f"127.0.0.1:{free_port()}"
    away = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap": nowhere})})
    with pytest.raises(KafkaConnectionError, match=nowhere):
        await list_topics(away)

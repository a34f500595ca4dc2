"""Declares the topics on a cluster, idempotently, and says how they stand.

The embedded broker makes its topics itself and knows no configuration: there they are only looked at.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, but not listed as exported
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from agents.kafka.topics import TOPICS, Topic
from agents.settings import Settings, SettingsError

log = structlog.get_logger()

REQUEST_SECONDS = 20.0
VISIBLE_SECONDS = 20.0

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class TopicState:
    """One declared topic as it stands on the cluster.

    name: with the prefix. partitions: 0 = it does not exist. wanted_partitions: what the settings say.
    config: the declared keys as the broker has them; empty where the broker cannot say.
    """

    name: str
    topic: Topic
    partitions: int
    wanted_partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def partitions_of(settings: Settings, topic: Topic) -> int:
    """How many partitions a topic is made with."""
    return settings.kafka.partitions if topic.partitions == "many" else 1


async def list_topics(settings: Settings) -> list[TopicState]:
    """Every declared topic as it stands.

    Raises:
        KafkaConnectionError: no answer.
    """
    return await asyncio.to_thread(_ask, settings, _Admin.states)


async def create_topics(settings: Settings) -> None:
    """Make what is missing, bring configuration to what is declared; says each change in the log.

    Partitions are never added: a service's records would go on in another partition, without their past.

    Raises:
        KafkaConnectionError: no answer.
        SettingsError: topics that must have equally many partitions do not.
    """
    await asyncio.to_thread(_ask, settings, _Admin.create)


def _ask(settings: Settings, question: "Callable[[_Admin], T]") -> T:
    try:
        return question(_Admin(settings))
    except KafkaException as error:
        raise KafkaConnectionError(f"{settings.kafka.bootstrap}: {error.args[0].str()}") from error


class _Admin:
    """The blocking side: librdkafka's own client, because it can change one key of a configuration alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._embedded = bool(settings.kafka.log_id)
        self._client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})

    def states(self, *, with_config: bool = True) -> list[TopicState]:
        found = self._client.list_topics(timeout=REQUEST_SECONDS).topics
        names = {topic: self._settings.topic(topic.name) for topic in TOPICS}
        configs = self._configs([name for name in names.values() if name in found]) if with_config else {}
        return [
            TopicState(
                name,
                topic,
                len(found[name].partitions) if name in found else 0,
                partitions_of(self._settings, topic),
                {key: configs[name][key] for key in topic.config()} if name in configs else {},
            )
            for topic, name in names.items()
        ]

    def create(self) -> None:
        states = self.states(with_config=False)
        missing = [state for state in states if state.partitions == 0]
        if missing and self._embedded:
            raise SettingsError(f"the embedded broker has no topic {missing[0].name}")
        made = self._make(missing) if missing else set()
        if missing:
            states = self._wait_visible()
        _check_partitions(states)
        if not self._embedded:
            # What is new is as declared, and not every broker can be asked about it at once.
            configs = self._configs([state.name for state in states if state.name not in made])
            for state in states:
                if state.name in configs:
                    self._configure(state, configs[state.name])

    def _make(self, missing: list[TopicState]) -> set[str]:
        """Make topics; the names of those that nobody else has made meanwhile."""
        made: set[str] = set()
        replication = self._settings.kafka.replication
        # With three copies one may be away; "acknowledged" then still means two.
        durable = {"min.insync.replicas": "2"} if replication > 2 else {}
        topics = [
            NewTopic(state.name, state.wanted_partitions, replication, config={**state.topic.config(), **durable})
            for state in missing
        ]
        for name, future in self._client.create_topics(topics, request_timeout=REQUEST_SECONDS).items():
            try:
                _result(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was faster
                    raise
            else:
                made.add(name)
                log.info("topic created", topic=name)
        return made

    def _wait_visible(self) -> list[TopicState]:
        """A topic that was made is known to every broker a little later."""
        deadline = time.monotonic() + VISIBLE_SECONDS
        while True:
            states = self.states(with_config=False)  # not every broker can be asked about a new topic at once
            missing = [state.name for state in states if state.partitions == 0]
            if not missing:
                return states
            if time.monotonic() > deadline:
                raise KafkaConnectionError(f"{', '.join(missing)}: created, but not there")
            time.sleep(0.1)

    def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        if self._embedded or not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.describe_configs(resources, request_timeout=REQUEST_SECONDS)
        return {
            resource.name: {key: entry.value for key, entry in _result(future).items()}
            for resource, future in answers.items()
        }

    def _configure(self, state: TopicState, config: Mapping[str, str]) -> None:
        wrong = {key: value for key, value in state.topic.config().items() if config.get(key) != value}
        if not wrong:
            return
        entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wrong.items()]
        resource = ConfigResource(ResourceType.TOPIC, state.name, incremental_configs=entries)
        for future in self._client.incremental_alter_configs([resource]).values():
            _result(future)
        was = {key: config.get(key) for key in wrong}
        log.warning("topic configuration changed", topic=state.name, was=was, now=wrong)


class _Future(Protocol[T_co]):
    """An answer of librdkafka that is on its way."""

    def result(self, timeout: float) -> T_co:
        """The answer."""


def _result(future: _Future[T]) -> T:
    return future.result(timeout=REQUEST_SECONDS)


def _check_partitions(states: list[TopicState]) -> None:
    """Partition n of samples, indicators and snapshots belong together; a count that differs is somebody's mistake."""
    many = {state.name: state.partitions for state in states if state.topic.partitions == "many"}
    if len(set(many.values())) > 1:
        listing = ", ".join(f"{name}: {count}" for name, count in many.items())
        raise SettingsError(f"topics must have equally many partitions: {listing}")
    for state in states:
        if state.partitions != state.wanted_partitions:
            log.warning(
                "topic keeps the number of partitions that it was made with",
                topic=state.name,
                partitions=state.partitions,
                settings=state.wanted_partitions,
            )

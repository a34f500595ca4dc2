"""The published shapes of records: current, true of what is encoded, and said of every topic there is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from agents.kafka.codecs import dead_letter_headers, encode_alert
from agents.kafka.topics import TOPICS
from agents.settings import Settings
from agents.web_config import WebConfig
from budgets.change import Change, encode_change
from budgets.event import (
    AlertEvent,
    Annotations,
    Evidence,
    IncidentLead,
    Mention,
    RecentChange,
    encode_event,
    episode_of,
    event_id_of,
    fingerprint_of,
    format_time,
)
from budgets.order import Order, encode_order
from budgets.spec.model import IndicatorSpec, ServiceBudget
from streams.frame import IndicatorFrame, Points, encode_frame
from tests.golden.documents import DOCS, DOCUMENTS
from tests.golden.schemas import SCHEMAS

Document = dict[str, Any]
AT_MS = 1_700_000_010_000


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def is_valid(name: str, document: object) -> bool:
    return validator(name).is_valid(document)


def create_event(**changed: Any) -> AlertEvent:
    fingerprint = fingerprint_of("regression", "auth-service", "response_time_p95", {"route": "/"})
    episode = episode_of(fingerprint, AT_MS)
    fields: Document = {
        "id": event_id_of(fingerprint, episode, "firing", AT_MS),
        "fingerprint": fingerprint,
        "episode": episode,
        "kind": "regression",
        "transition": "firing",
        "status": "firing",
        "severity": "warning",
        "service": "auth-service",
        "indicator": "response_time_p95",
        "incident": episode,
        "labels": {"service": "auth-service", "route": "/"},
        "unit": "ms",
        "value": 231.4,
        "threshold": 200.0,
        "direction": "above",
        "evidence": Evidence(
            baseline=171.2,
            baseline_from=format_time(0),
            baseline_to=format_time(AT_MS),
            change_ratio=0.352,
            z=5.1,
            ci95=(0.29, 0.41),
            p_value=0.0004,
            samples=40,
            onset=format_time(AT_MS),
            trend_per_hour=3.1,
            methods=("z_score",),
        ),
        "starts_at": format_time(AT_MS),
        "at": format_time(AT_MS),
        "ends_at": None,
        "annotations": Annotations(summary="slower"),
        "lead": IncidentLead(
            ("auth-service",), Mention("auth-service", "error_rate", fingerprint, format_time(AT_MS), 3.4), None
        ),
        "changes": (RecentChange("auth-service", "2.4.1", format_time(0), "hotfix", 0.8, 0.0013),),
    }
    return AlertEvent(**{**fields, **changed})


def create_order(**changed: Any) -> Order:
    indicator = IndicatorSpec(
        "auth-service/throughput", "auth-service", "throughput", "throughput", "sum(rate(x[5m]))", "1/s", "below"
    )
    document = msgspec.to_builtins(ServiceBudget("auth-service", (indicator,)))
    fields: Document = {
        "subject": "budget/auth-service",
        "document": document,
        "by": "file",
        "at": AT_MS,
        "effective_at": AT_MS,
    }
    return Order(**{**fields, **changed})


def create_frame(points: Points) -> Document:
    frame: Document = json.loads(encode_frame(IndicatorFrame(AT_MS, 15_000, points)))
    return frame


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_generated_files_are_what_the_code_says(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == DOCUMENTS[path](), "make golden"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_a_schema(name: str) -> None:
    validator(name)


def test_encoded_alert_events_are_valid() -> None:
    assert is_valid("alert-event", json.loads(encode_event(create_event())))


def test_an_event_without_evidence_is_valid() -> None:
    bare = create_event(evidence=Evidence(), value=None, threshold=None, changes=(), ends_at=format_time(AT_MS))
    assert is_valid("alert-event", json.loads(encode_event(bare)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "42"),
        ("fingerprint", "XYZ"),
        ("kind", "mood"),
        ("transition", "fired"),
        ("severity", "fatal"),
        ("at", "2026-01-01 10:00"),
        ("at", "2026-01-01T10:00:00.000+01:00"),
        ("value", "fast"),
        ("schema", 2),
        ("service", ""),
        ("labels", {"route": 1}),
        ("surprise", 1),
    ],
)
def test_a_wrong_alert_event_is_refused(key: str, value: object) -> None:
    event = json.loads(encode_event(create_event()))
    assert not is_valid("alert-event", {**event, key: value})


def test_a_subscriber_may_rely_on_every_field() -> None:
    event = json.loads(encode_event(create_event()))
    for key in event:
        assert not is_valid("alert-event", {name: value for name, value in event.items() if name != key})
    for key in event["evidence"]:
        without = {name: value for name, value in event["evidence"].items() if name != key}
        assert not is_valid("alert-event", {**event, "evidence": without})


def test_encoded_frames_are_valid() -> None:
    ids = ["auth-service/throughput", 'auth-service/throughput{route="/"}', "policy-service/response_time_p95"]
    assert is_valid("indicator-frame", create_frame(Points(ids, [1.5, None, 3.0], [None, 10.0, 0.0])))


@pytest.mark.parametrize("wrong", ["throughput", "a/", "/x", "a/x{}"])
def test_a_frame_with_a_wrong_id_is_refused(wrong: str) -> None:
    assert not is_valid("indicator-frame", create_frame(Points([wrong], [1.0], [None])))


def test_encoded_orders_are_valid() -> None:
    assert is_valid("order", json.loads(encode_order(create_order())))
    assert is_valid("order", json.loads(encode_order(create_order(document=None))))
    silence = create_order(subject="silence/7", document={"anything": 1})
    assert is_valid("order", json.loads(encode_order(silence)))


@pytest.mark.parametrize(
    "changed",
    [{"subject": "wish/x"}, {"document": {"service": "auth-service"}}, {"at": "today"}, {"effective_at": -1}],
)
def test_a_wrong_order_is_refused(changed: Document) -> None:
    order = json.loads(encode_order(create_order()))
    assert not is_valid("order", {**order, **changed})


def test_encoded_changes_are_valid() -> None:
    change = json.loads(encode_change(Change("api", "2.4.1", format_time(AT_MS), "ci", AT_MS, "hotfix")))
    assert is_valid("change", change)
    assert not is_valid("change", {**change, "at": AT_MS})
    assert not is_valid("change", {**change, "version": ""})
    assert not is_valid("change", {**change, "surprise": 1})


def test_the_headers_of_a_dead_letter_are_valid() -> None:
    headers = {name: value.decode() for name, value in dead_letter_headers("driftline.samples", 3, 17, "not protobuf")}
    assert is_valid("dead-letter", headers)
    assert not is_valid("dead-letter", {**headers, "source-offset": "-"})


@pytest.mark.parametrize("path", sorted((DOCS.parent / "examples" / "budgets").iterdir()), ids=lambda path: path.name)
def test_the_example_budgets_are_what_an_editor_takes_for_budget_files(path: Path) -> None:
    assert is_valid("budget-file", yaml.safe_load(path.read_text(encoding="utf-8")))
    assert not is_valid("budget-file", {"api": {"throughput": {"min_rps": "many"}}})


def test_the_example_of_a_web_config_file_is_one() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    config = WebConfig.model_validate(yaml.safe_load(example))
    assert set(yaml.safe_load(example)) == set(WebConfig.model_fields)
    assert config.tls_server_config
    assert set(yaml.safe_load(example)["tls_server_config"]) == set(type(config.tls_server_config).model_fields)


@dataclass(frozen=True)
class AsyncApi:
    document: Document

    def resolve(self, reference: str) -> Any:
        if not reference.startswith("#"):
            return json.loads((DOCS / reference).read_text(encoding="utf-8"))
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found

    def references(self, node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in self.references(value)]
        if isinstance(node, list):
            return [found for value in node for found in self.references(value)]
        return []


@pytest.fixture(scope="module")
def asyncapi() -> AsyncApi:
    return AsyncApi(yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8")))


def test_every_topic_has_a_channel_and_every_channel_a_topic(asyncapi: AsyncApi) -> None:
    prefix = Settings().kafka.topic_prefix
    channels = {channel["address"] for channel in asyncapi.document["channels"].values()}
    assert channels == {prefix + topic.name for topic in TOPICS}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_channel_says_what_the_topic_is_declared_with(topic: Any, asyncapi: AsyncApi) -> None:
    channel = asyncapi.document["channels"][topic.name]
    kafka = channel["bindings"]["kafka"]
    said = {**kafka["topicConfiguration"], **channel.get("x-topic-config", {})}
    said["cleanup.policy"] = ",".join(said["cleanup.policy"])
    assert {key: str(value) for key, value in said.items()} == topic.config()
    assert kafka["partitions"] == (Settings().kafka.partitions if topic.partitions == "many" else 1)


def test_every_reference_leads_somewhere(asyncapi: AsyncApi) -> None:
    references = asyncapi.references(asyncapi.document)
    assert len(references) > 20
    for reference in references:
        assert asyncapi.resolve(reference)


def test_every_message_and_every_schema_file_is_used(asyncapi: AsyncApi) -> None:
    references = set(asyncapi.references(asyncapi.document))
    assert {f"#/components/messages/{name}" for name in asyncapi.document["components"]["messages"]} <= references
    assert {f"#/components/schemas/{name}" for name in asyncapi.document["components"]["schemas"]} <= references
    assert {f"schemas/{name}.json" for name in SCHEMAS} <= references
    assert {path.stem for path in (DOCS / "schemas").glob("*.json")} >= set(SCHEMAS)


def test_the_headers_of_an_alert_are_the_described_ones(asyncapi: AsyncApi) -> None:
    record = encode_alert(create_event())
    headers = {name: value.decode() for name, value in record.headers}
    jsonschema.validate(
        headers,
        asyncapi.document["components"]["schemas"]["CloudEventHeaders"],
        jsonschema.Draft202012Validator,
        format_checker=jsonschema.FormatChecker(),
    )
    assert headers["ce_id"] == create_event().id
    key = asyncapi.document["components"]["messages"]["AlertEvent"]["bindings"]["kafka"]["key"]
    jsonschema.validate(record.key.decode(), key)

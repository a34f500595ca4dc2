"""JSON Schemas of what stands on the topics: taken from the structs that encode it, then tightened.

The structs say names and types; what a subscriber may rely on beyond that (formats, ranges, that no field is ever
left out and none is added) is said here.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from budgets.change import Change
from budgets.event import AlertEvent
from budgets.order import Order
from budgets.spec.model import ServiceBudget
from streams.frame import IndicatorFrame

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TIME = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
UNIX_MS = {"type": "integer", "minimum": 0, "description": "Unix time in milliseconds."}
DIGEST_16 = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
SERVICE = {"type": "string", "minLength": 1}
POINT_ID = {
    "type": "string",
    "pattern": r"^[^/]+/[^{]+(\{.+\})?$",
    "description": 'service/name, with labels sorted by name where there are any: service/name{label="value"}.',
}
SCHEMA_1 = {"const": 1, "description": "Version of this shape; a reader refuses what it does not know."}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _plain(schema: Schema) -> Schema:
    """Without the default (every field is always written), and `anyOf` of bare types as a list of them."""
    schema.pop("default", None)
    choices = schema.get("anyOf", [])
    if choices and all(choice.keys() == {"type"} for choice in choices):
        return {"type": [choice["type"] for choice in choices]}
    return schema


def _closed(schema: Schema) -> Schema:
    """Every field is always there and no other is: what the encoder does."""
    properties = {name: _plain(value) for name, value in schema["properties"].items()}
    return {
        "type": "object",
        "description": " ".join(schema["description"].partition("\n\n")[0].split()),
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _of_struct(struct: type[msgspec.Struct]) -> tuple[Schema, dict[str, Schema]]:
    """A struct's own schema and those that it refers to by `#/$defs/NAME`."""
    (_,), components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    closed = {name: _closed(schema) for name, schema in components.items()}
    return closed.pop(struct.__name__), closed


def _document(name: str, title: str, schema: Schema, definitions: Mapping[str, Schema] | None = None) -> str:
    head = {"$schema": DIALECT, "$id": f"{name}.json", "title": title}
    tail = {"$defs": dict(definitions)} if definitions else {}
    return json.dumps({**head, **schema, **tail}, indent=2, ensure_ascii=False) + "\n"


def alert_event() -> str:
    """The data of the CloudEvents on `alerts`, and the values of `alert-state`."""
    event, definitions = _of_struct(AlertEvent)
    event["description"] = "Its id is computed, not drawn: whoever drops repeated ids sees each transition once."
    event["properties"] |= {
        "schema": SCHEMA_1,
        "id": {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "Computed from fingerprint, episode, transition and step: a repeated event has the same id.",
        },
        "fingerprint": {**DIGEST_16, "description": "Of kind, service, indicator and labels; stable over restarts."},
        "episode": {**DIGEST_16, "description": "One run of the alert, from its first pending to resolved."},
        "incident": {**DIGEST_16, "description": "Shared by alerts that have one cause."},
        "service": SERVICE,
        "indicator": {"type": "string", "minLength": 1},
        "starts_at": TIME,
        "at": {**TIME, "description": "The step that decided it."},
        "ends_at": _nullable(TIME),
        "changes": {
            "type": "array",
            "description": "Deployments and other changes shortly before the onset.",
            "items": {"$ref": "#/$defs/RecentChange"},
        },
    }
    definitions["RecentChange"]["properties"] |= {
        "service": SERVICE,
        "at": TIME,
        "per_day": _nullable({"type": "number", "minimum": 0}),
        "chance": _nullable({"type": "number", "minimum": 0, "maximum": 1}),
    }
    definitions["Mention"]["properties"] |= {"service": SERVICE, "fingerprint": DIGEST_16, "onset": TIME}
    definitions["Evidence"]["properties"] |= {
        "baseline_from": _nullable(TIME),
        "baseline_to": _nullable(TIME),
        "onset": _nullable(TIME),
        "p_value": _nullable({"type": "number", "minimum": 0, "maximum": 1}),
        "samples": {"type": "integer", "minimum": 0},
    }
    definitions["Annotations"]["properties"]["summary"] = {"type": "string", "minLength": 1}
    return _document("alert-event", "One transition of one alert", event, definitions)


def indicator_frame() -> str:
    """The values of `indicators`."""
    frame, definitions = _of_struct(IndicatorFrame)
    frame["properties"] |= {
        "schema": SCHEMA_1,
        "at": {**UNIX_MS, "description": "The step, a multiple of `step`. Unix time in milliseconds."},
        "step": {"type": "integer", "minimum": 1000, "maximum": 300_000, "description": "Evaluation step in ms."},
    }
    number = {"type": "array", "items": {"type": ["number", "null"]}}
    definitions["Points"]["properties"] = {
        "id": {"type": "array", "items": POINT_ID},
        "value": {**number, "description": "In the indicator's own unit; null = no data."},
        "weight": {**number, "description": "Events behind the value; null = not known."},
    }
    return _document("indicator-frame", "All indicators of one partition at one step", frame, definitions)


def order() -> str:
    """The values of `orders`; a tombstone removes the subject's document."""
    schema, definitions = _of_struct(Order)
    budget, inner = _of_struct(ServiceBudget)
    budget["properties"] |= {"schema": SCHEMA_1, "service": SERVICE}
    spec = inner["IndicatorSpec"]["properties"]
    spec["id"] = POINT_ID
    spec["service"] = SERVICE
    for name in ("for_ms", "keep_firing_for_ms", "min_traffic"):
        spec[name]["minimum"] = 0
    spec["window_ms"]["minimum"] = 1
    schema["properties"] |= {
        "schema": SCHEMA_1,
        "subject": {"type": "string", "pattern": "^(budget|baseline|silence|ack)/.+$"},
        "at": UNIX_MS,
        "effective_at": {**UNIX_MS, "description": "Everyone switches at this step. Unix time in milliseconds."},
        "document": {"type": ["object", "null"], "description": "The whole new document; null = removed."},
    }
    schema["if"] = {"properties": {"subject": {"pattern": "^budget/"}}}
    schema["then"] = {"properties": {"document": _nullable({"$ref": "#/$defs/ServiceBudget"})}}
    return _document("order", "One order", schema, {**definitions, "ServiceBudget": budget, **inner})


def change() -> str:
    """The values of `changes`."""
    schema, definitions = _of_struct(Change)
    schema["description"] = "A deployment or another change of a service."
    schema["properties"] |= {
        "schema": SCHEMA_1,
        "service": SERVICE,
        "version": {"type": "string", "minLength": 1},
        "at": {**TIME, "description": "When it began."},
        "by": {"type": "string", "minLength": 1, "description": "Who told us."},
        "effective_at": {**UNIX_MS, "description": "Alerts may name it from this step on. Unix time in milliseconds."},
    }
    return _document("change", "One change", schema, definitions)


def audit() -> str:
    """The values of `audit`."""
    sha256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    schema = {
        "type": "object",
        "description": "An order or a change once more, with what it replaced, chained by hash.",
        "properties": {
            "schema": SCHEMA_1,
            "subject": {"type": "string", "pattern": "^(budget|baseline|silence|ack|change)/.+$"},
            "by": {"type": "string"},
            "at": UNIX_MS,
            "before": {"type": ["object", "null"], "description": "The document before; null = there was none."},
            "after": {"type": ["object", "null"], "description": "The document from now on; null = removed."},
            "previous": {**sha256, "description": "Hash of the audit record before this one; zeros for the first."},
            "hash": {**sha256, "description": "SHA-256 over `previous` and this record without `hash`."},
        },
        "required": ["schema", "subject", "by", "at", "before", "after", "previous", "hash"],
        "additionalProperties": False,
    }
    return _document("audit", "One audit record", schema)


def dead_letter() -> str:
    """The headers of `dead-letter`, as text; key and value are those of the source."""
    schema = {
        "type": "object",
        "description": "Headers of a record that was set aside; its key and value are as they were.",
        "properties": {
            "source-topic": {"type": "string", "minLength": 1},
            "source-partition": {"type": "string", "pattern": "^[0-9]+$"},
            "source-offset": {"type": "string", "pattern": "^[0-9]+$"},
            "reason": {"type": "string", "minLength": 1},
        },
        "required": ["source-topic", "source-partition", "source-offset", "reason"],
    }
    return _document("dead-letter", "Where a dead letter comes from", schema)


SCHEMAS: Mapping[str, Callable[[], str]] = {
    "alert-event": alert_event,
    "indicator-frame": indicator_frame,
    "order": order,
    "change": change,
    "audit": audit,
    "dead-letter": dead_letter,
}

"""The OpenAPI 3.1 description of the API, made from the structures that it answers with."""

import inspect
from typing import Any

import msgspec

from agents.web.api import KINDS, STATUSES
from agents.web.documents import AlertDetail, ChangeItem, History, IndicatorItem, NewChange, Page, Problem, ServiceItem
from agents.web.parameters import DEFAULT_LIMIT, MAX_LIMIT
from agents.web.problems import CONTENT_TYPE
from budgets.event import AlertEvent

Document = dict[str, Any]

_ANSWERS: dict[str, Any] = {
    "ServicePage": Page[ServiceItem],
    "IndicatorPage": Page[IndicatorItem],
    "AlertPage": Page[AlertEvent],
    "AlertDetail": AlertDetail,
    "History": History,
    "ChangePage": Page[ChangeItem],
    "ChangeItem": ChangeItem,
    "NewChange": NewChange,
    "Problem": Problem,
}
_QUESTIONS = frozenset({"NewChange"})
_TIME = {
    "oneOf": [
        {"type": "string", "format": "date-time", "description": "RFC 3339"},
        {"type": "integer", "minimum": 0, "description": "Unix milliseconds"},
    ]
}


def _query(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _path(name: str, description: str) -> Document:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


def _one_or_several(name: str, description: str, allowed: tuple[str, ...]) -> Document:
    schema = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(allowed)}}
    return {**_query(name, description, schema), "style": "form", "explode": False}


_LIST = [
    _query("cursor", "`next` of the answer before; not given = from the beginning.", {"type": "string"}),
    _query(
        "limit",
        "Items at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
]
_SERVICE = _query("service", "Only this service, as in its budget.", {"type": "string"})


def _problem(description: str) -> Document:
    return {
        "description": description,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _operation(
    operation_id: str, summary: str, answer: str, parameters: list[Document], missing: str | None = None
) -> Document:
    responses = {
        "200": {
            "description": summary,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}},
        },
        "400": _problem("A parameter is wrong; `detail` says what was expected."),
        "401": _problem("Who asks has to prove who it is, where the server is configured so."),
        "403": _problem("Who asks may not, where the server is configured so."),
        "503": _problem("The database does not answer; try again."),
        "default": _problem("Anything else that went wrong."),
    }
    if missing:
        responses["404"] = _problem(missing)
    return {
        "get": {
            "operationId": operation_id,
            "summary": summary,
            "parameters": parameters,
            "responses": dict(sorted(responses.items())),
        }
    }


def _telling(operation_id: str, summary: str, body: str, answer: str) -> Document:
    """A POST of a JSON document."""
    responses = {
        "201": {
            "description": summary,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}},
        },
        "400": _problem("The body is wrong; `detail` says what was expected."),
        "401": _problem("Who asks has to prove who it is, where the server is configured so."),
        "403": _problem("Who asks may not, where the server is configured so."),
        "415": _problem("The body is no application/json."),
        "503": _problem("Kafka does not take it; try again."),
        "default": _problem("Anything else that went wrong."),
    }
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
    return {
        "post": {
            "operationId": operation_id,
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": responses,
        }
    }


def _paths() -> Document:
    return {
        "/api/v1/changes": {
            **_operation(
                "listChanges", "Deployments and other changes, the newest first.", "ChangePage", [_SERVICE, *_LIST]
            ),
            **_telling(
                "tellChange", "Tell of a change; alerts that begin shortly after it name it.", "NewChange", "ChangeItem"
            ),
        },
        "/api/v1/services": _operation(
            "listServices", "Services that have a budget, by name, each with its worst state.", "ServicePage", _LIST
        ),
        "/api/v1/indicators": _operation(
            "listIndicators",
            "Every indicator's newest value against its limit, by id.",
            "IndicatorPage",
            [_SERVICE, _one_or_several("kind", "Only these kinds.", KINDS), *_LIST],
        ),
        "/api/v1/indicators/{id}/history": _operation(
            "getIndicatorHistory",
            "One indicator over time, with the transitions of its alerts.",
            "History",
            [
                _path("id", "An indicator's `id`; its slash may be written as %2F."),
                _query("from", "The first moment; by default six hours before `to`.", _TIME),
                _query("to", "The last moment; by default now.", _TIME),
                _query(
                    "step",
                    "Time between two items, such as 1m or 1h30m; by default what gives some hundred items.",
                    {"type": "string", "pattern": "^([0-9]+(ms|[smhdw]))+$"},
                ),
            ],
            "No budget has this indicator and there are no points of it in the range.",
        ),
        "/api/v1/alerts": _operation(
            "listAlerts",
            "Alerts by their latest event, the newest first.",
            "AlertPage",
            [_one_or_several("status", "Only these statuses.", STATUSES), _SERVICE, *_LIST],
        ),
        "/api/v1/alerts/{fingerprint}": _operation(
            "getAlert",
            "One alert: every transition, and what was sent about it.",
            "AlertDetail",
            [_path("fingerprint", "16 hex digits.")],
            "No alert has this fingerprint.",
        ),
    }


def _refine(name: str, schema: Document) -> Document:
    """What answers really are: every field is there, and times are times; in questions fields may be left out."""
    schema["description"] = inspect.cleandoc(schema["description"])
    if name in _QUESTIONS:
        return schema
    schema["required"] = list(schema["properties"])
    for key, field in schema["properties"].items():
        field.pop("default", None)
        if key == "at" or key.endswith("_at"):
            for choice in field.get("anyOf", [field]):
                if choice["type"] == "string":
                    choice["format"] = "date-time"
    return schema


def _schemas() -> Document:
    references, made = msgspec.json.schema_components(_ANSWERS.values(), ref_template="#/components/schemas/{name}")
    # Pages are generic: what they are called here is our choice.
    names = {ref["$ref"].rpartition("/")[2]: name for name, ref in zip(_ANSWERS, references, strict=True)}
    schemas: Document = {names.get(name, name): _refine(name, schema) for name, schema in made.items()}
    schemas["AlertEvent"]["description"] = "One transition of one alert. Times are RFC 3339 UTC."
    return dict(sorted(schemas.items()))


def openapi_document(version: str) -> Document:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Driftline",
            "version": version,
            "description": "Performance budgets of services: what is promised, what is measured, what is wrong now.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }

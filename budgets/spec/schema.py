"""The JSON Schema of budget files, for editors. Made from the same classes that the loader reads with.

An editor knows less than the loader: contradictions between keys and expressions are not in it.
"""

from typing import Any, TypeAlias

from pydantic.json_schema import models_json_schema

from budgets.spec.file_model import CUSTOM_LIMIT, KEYS_OF, CustomKeys, IndicatorKeys, OptionKeys

_DEFINITIONS = "#/$defs/"
Schema: TypeAlias = dict[str, Any]


def budget_file_schema() -> Schema:
    """The schema as a JSON document."""
    models: set[type[OptionKeys]] = {OptionKeys, IndicatorKeys, CustomKeys, *KEYS_OF.values()}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=_DEFINITIONS + "{model}")
    definitions: Schema = {name: _tidy(schema) for name, schema in found["$defs"].items()}
    custom = definitions["CustomKeys"]
    custom.pop("additionalProperties", None)
    custom |= {
        "patternProperties": {f"^{CUSTOM_LIMIT.pattern}$": {"type": "number"}},
        "additionalProperties": False,
    }
    service = _service(definitions)
    definitions.pop("IndicatorKeys")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Driftline budget file",
        "description": "Service names and what is promised for each; JSON or YAML.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": _DEFINITIONS + "Service"},
        "$defs": {**definitions, "Service": service},
    }


def _tidy(schema: Schema) -> Schema:
    """Without what pydantic adds for Python: titles, and null as another way to leave a key out."""
    properties: Schema = {}
    for key, value in schema["properties"].items():
        kept = {name: item for name, item in value.items() if name not in {"title", "default", "anyOf"}}
        alternatives = [item for item in value.get("anyOf", []) if item != {"type": "null"}]
        properties[key] = {**(alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}), **kept}
    tidied: Schema = {**schema, "properties": properties}
    tidied.pop("title", None)
    return tidied


def _service(definitions: Schema) -> Schema:
    """One service: options and indicators side by side."""
    indicators = _indicators(definitions)
    return {
        "description": "One service: its options and indicators.",
        "type": "object",
        "properties": {
            **definitions.pop("OptionKeys")["properties"],
            "indicators": {
                "description": "Indicators, another place for them; of the file's own or with an expression of it.",
                "type": "object",
                **indicators,
                "additionalProperties": {"$ref": _DEFINITIONS + "CustomKeys"},
            },
            **indicators["properties"],
        },
        "patternProperties": indicators["patternProperties"],
        "additionalProperties": {
            "description": "An indicator of the file's own.",
            "allOf": [{"$ref": _DEFINITIONS + "CustomKeys"}, {"required": ["expr"]}],
        },
        "minProperties": 1,
    }


def _indicators(definitions: Schema) -> Schema:
    """The well-known names, and the response time in both of its forms."""
    percentile = {"$ref": _DEFINITIONS + "ResponseTimeKeys"}
    response_time = {
        "description": "The response time, by percentile; other keys hold for all of them.",
        "type": "object",
        "properties": definitions["IndicatorKeys"]["properties"],
        "patternProperties": {r"^p(?!0+$|100)\d{2,5}$": percentile},
        "additionalProperties": False,
    }
    names = {name: {"$ref": _DEFINITIONS + model.__name__} for name, model in KEYS_OF.items()}
    return {
        "properties": {**names, "response_time": response_time},
        "patternProperties": {r"^response_time_p(?!0+$|100)\d{2,5}$": percentile},
    }

"""The schema for editors and the reference agree with what the loader takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from budgets.spec.errors import BudgetError
from budgets.spec.file_model import KEYS_OF, CustomKeys, OptionKeys, keys_of
from budgets.spec.indicators import WELL_KNOWN
from budgets.spec.load import load_budgets
from budgets.spec.schema import budget_file_schema
from tests.unit.test_budget_mistakes import ONE_MISTAKE

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "budgets.md"


def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(budget_file_schema())
    return jsonschema.Draft202012Validator(budget_file_schema())


def reference_examples() -> list[str]:
    blocks = REFERENCE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    return [block.split("```")[0] for block in blocks]


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "budgets").glob("*")), ids=lambda path: path.name)
def test_the_shipped_documents_follow_the_schema(path: Path) -> None:
    validator().validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("text", reference_examples())
def test_every_example_of_the_reference_follows_the_schema_and_loads(text: str) -> None:
    validator().validate(yaml.safe_load(text))
    assert load_budgets(text, "budgets.yaml", step_ms=15_000)


# What a schema cannot say: contradictions between keys, expressions, and what YAML itself refuses.
BEYOND_A_SCHEMA = (
    "before critical",
    "wrong side",
    "more than 1,",
    "nothing falls",
    "second limit",
    "no limit",
    "looks back",
    "stands twice",
    "given twice",
    "given",
    "counts the events",
    "no percentile",
    "missing",
    "expected ratio beside",
    "expected ms or s",
    ".expr: ",
    ".weight_expr: ",
    ".selector: expected matchers",
    "no effect",
    "time zone",
    "longer than 0",
    "label names such as",
    "tell services' parts",
    "service name",
    "indicator name",
    "no value is below",
    "no indicator",
    "YAML",
)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [(text, mistake) for text, mistake in ONE_MISTAKE if not any(part in mistake for part in BEYOND_A_SCHEMA)],
)
def test_what_a_single_key_gets_wrong_an_editor_sees_too(text: str, mistake: str) -> None:
    with pytest.raises(BudgetError):
        load_budgets(text, "b.yaml", step_ms=15_000)
    document: Any = yaml.safe_load(text)
    assert not validator().is_valid(document), mistake


def test_the_reference_names_every_key_and_every_well_known_indicator() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    models: list[type[OptionKeys]] = [CustomKeys, *KEYS_OF.values()]
    keys = {key for model in models for key in keys_of(model)}
    assert [key for key in sorted(keys | set(WELL_KNOWN)) if f"`{key}`" not in text] == []


def test_the_reference_shows_the_default_expressions_as_they_are() -> None:
    text = REFERENCE.read_text(encoding="utf-8").replace("\\|", "|")  # as tables write it
    documents = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples" / "budgets").glob("*"))]
    specs = [
        spec
        for doc in documents
        for budget in load_budgets(doc, "e.json", step_ms=15_000)
        for spec in budget.indicators
    ]
    shown = {spec.expr for spec in specs if spec.name not in {"response_time_p50", "response_time_p99"}}
    generic = {expr.replace("auth-service", "SERVICE").replace("policy-service", "SERVICE") for expr in shown}
    assert [expr for expr in sorted(generic) if expr not in text] == []

"""docs/promql.md lists what the tables have, all of it and nothing else."""

import re
from pathlib import Path

from streams.promql.functions import (
    AGGREGATIONS,
    ARITHMETIC,
    COMPARISONS,
    REFUSED_AGGREGATIONS,
    REFUSED_FUNCTIONS,
    SET_OPERATORS,
    SIGNATURES,
)
from streams.promql.subquery import MOST_EVALUATIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "promql.md").read_text(encoding="utf-8")
SUPPORTED, REFUSED = PAGE.split("## Supported")[1].split("## Refused")
CODE = re.compile(r"`([^`]+)`")


def test_every_function_and_aggregation_is_listed_once_as_supported() -> None:
    parts = {part.split("**")[0]: part for part in SUPPORTED.split("\n**")[1:]}
    listed = [
        name
        for kind, part in parts.items()
        if kind not in {"Selectors", "Operators"}
        for name in CODE.findall(part.split(". Among")[0])
        if name.isidentifier() and name not in {"by", "without", "offset"}
    ]
    assert sorted(listed) == sorted([*SIGNATURES, *AGGREGATIONS])


def test_every_operator_is_listed() -> None:
    operators = {
        word for code in CODE.findall(SUPPORTED.split("**Operators**")[1].split("**")[0]) for word in code.split()
    }
    assert (
        operators - {"bool", "on", "ignoring", "group_left", "group_right"} == ARITHMETIC | COMPARISONS | SET_OPERATORS
    )


def test_what_is_refused_is_listed_with_its_reason() -> None:
    rows = {name: row for row in REFUSED.splitlines() if row.startswith("|") for name in CODE.findall(row)}
    for name, reason in {**REFUSED_FUNCTIONS, **REFUSED_AGGREGATIONS}.items():
        assert rows[name].endswith(f"| {reason} |"), name
    assert f"more than {MOST_EVALUATIONS} inner evaluations" in REFUSED
    assert f"at most {MOST_EVALUATIONS} inner moments" in SUPPORTED.replace("\n", " ")


def test_nothing_is_both_supported_and_refused() -> None:
    assert not (SIGNATURES.keys() & REFUSED_FUNCTIONS.keys())
    assert not (AGGREGATIONS.keys() & REFUSED_AGGREGATIONS.keys())

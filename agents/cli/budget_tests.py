"""`driftline budgets test`: test files, and the files that they name, read and run; results as table, JSON or JUnit.

What a case means is `budgets/unit_test`'s business. Here files are found, and people and CI systems told.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
from rich.table import Table
from rich.text import Text

from agents.budget_files import load_budget_paths
from agents.cli.files import read_text
from agents.cli.output import ExitCode, console, people, print_json
from budgets.rule_file.load import load_rules, series_made_by
from budgets.spec.errors import BudgetError, Mistake
from budgets.spec.values import format_duration
from budgets.unit_test.load import load_test_file
from budgets.unit_test.model import Outcome, Result
from budgets.unit_test.run import run_tests

_WORD: dict[Outcome, str] = {"passed": "PASS", "failed": "FAIL", "not_evaluated": "NOT EVALUATED"}
_STYLE: dict[Outcome, str] = {"passed": "green", "failed": "bold red", "not_evaluated": "yellow"}
# What XML 1.0 cannot hold at all.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class TestOutput(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


@dataclass(frozen=True, slots=True)
class FileResults:
    """One test file with what became of its cases."""

    filename: str
    results: tuple[Result, ...]


def _named(path: Path, patterns: Iterable[str]) -> list[tuple[str, list[Path]]]:
    """The files that a test file names, relative to it; promtool's patterns."""
    found = []
    for pattern in patterns:
        anchor = Path(pattern).anchor
        folder = Path(anchor) if anchor else path.parent
        found.append((pattern, sorted(folder.glob(pattern.removeprefix(anchor)))))
    return found


def run_file(path: Path) -> FileResults:
    """Run the tests of one file.

    Raises:
        BudgetError, SettingsError: it, or a file that it names, cannot be used.
    """
    tests = load_test_file(read_text(path), str(path))
    recorded: set[str] = set()
    for pattern, files in _named(path, tests.rule_files):
        if not files:  # promtool goes on as well
            people.print(f"{path}: no rule file {pattern}", style="yellow", markup=False)
        for file in files:
            recorded |= series_made_by(load_rules(read_text(file), str(file)))
    paths: list[Path] = []
    for pattern, files in _named(path, tests.budget_files):
        if not files:
            raise BudgetError([Mistake(str(path), 1, "budget_files", f"no file {pattern}")])
        paths += files
    budgets = load_budget_paths(paths, tests.evaluation_interval_ms) if paths else []
    return FileResults(str(path), tuple(run_tests(tests, budgets, recorded)))


def verdict_of(files: Sequence[FileResults]) -> ExitCode:
    """What all of it comes to: a failure first, then what was not evaluated."""
    outcomes = {result.outcome for file in files for result in file.results}
    if "failed" in outcomes:
        return ExitCode.GATE_FAILED
    return ExitCode.PASS if outcomes == {"passed"} else ExitCode.INCONCLUSIVE


def print_results(files: Sequence[FileResults], output: TestOutput) -> None:
    """Print every result."""
    if output is TestOutput.JSON:
        print_json(
            {"verdict": verdict_of(files).name.lower(), "items": [_item(f, r) for f in files for r in f.results]}
        )
    elif output is TestOutput.JUNIT:
        ET.indent(document := _junit(files))
        console.file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        console.file.write(ET.tostring(document, encoding="unicode") + "\n")
    else:
        for file in files:
            for result in file.results:
                _print_case(file.filename, result)
        counts = Counter(result.outcome for file in files for result in file.results)
        console.print(", ".join(f"{counts[outcome]} {outcome.replace('_', ' ')}" for outcome in _WORD))


def _title(result: Result) -> str:
    what = " ".join(result.what.split())
    return what if result.eval_time_ms is None else f"{what} at {format_duration(result.eval_time_ms)}"


def _print_case(filename: str, result: Result) -> None:
    line = Text(_WORD[result.outcome], style=_STYLE[result.outcome])
    line.append(f" {filename}:{result.place.line}: {result.group}: {_title(result)}", style="default")
    console.print(line, soft_wrap=True)
    if result.reason:
        console.print(Text(f"     {result.reason}"), soft_wrap=True)
    if result.outcome == "failed" and result.rows:
        console.print(_comparison(result))


def _comparison(result: Result) -> Table:
    """Expected and got, side by side; what differs is marked."""
    table = Table(box=None, header_style="bold")
    for column in ("", "", "expected", "got"):
        table.add_column(column, overflow="fold")
    for row in result.rows:
        cells = ("" if row.agrees else "!=", row.what, row.expected or "-", row.got or "-")
        table.add_row(*(Text(cell, style="" if row.agrees else "red") for cell in cells))
    return table


def _item(file: FileResults, result: Result) -> dict[str, Any]:
    item = msgspec.to_builtins(result)
    assert isinstance(item, dict)
    eval_time = None if result.eval_time_ms is None else format_duration(result.eval_time_ms)
    place = item.pop("place")
    del item["eval_time_ms"]
    return {"file": file.filename, **place, **item, "eval_time": eval_time}


def _junit(files: Sequence[FileResults]) -> ET.Element:
    root = ET.Element("testsuites")
    for file in files:
        counts = Counter(result.outcome for result in file.results)
        numbers = {"tests": len(file.results), "failures": counts["failed"], "skipped": counts["not_evaluated"]}
        suite = ET.SubElement(root, "testsuite", {"name": _xml(file.filename), "errors": "0"})
        suite.attrib.update({key: str(number) for key, number in numbers.items()})
        for result in file.results:
            names = {"classname": _xml(f"{result.group}.{result.kind}"), "name": _xml(_title(result))}
            case = ET.SubElement(suite, "testcase", names)
            if result.outcome == "failed":
                message = result.reason or "expected and got differ"
                ET.SubElement(case, "failure", {"message": _xml(message)}).text = _xml(_plain(file, result))
            elif result.outcome == "not_evaluated":
                ET.SubElement(case, "skipped", {"message": _xml(result.reason)})
    return root


def _plain(file: FileResults, result: Result) -> str:
    """A failure as lines of text."""
    rows = [
        f"{'  ' if row.agrees else '! '}{row.what}: expected {row.expected or '-'}, got {row.got or '-'}"
        for row in result.rows
    ]
    return "\n".join([f"{file.filename}:{result.place.line}: {_title(result)}", *rows])


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)

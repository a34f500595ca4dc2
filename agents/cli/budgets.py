"""`driftline budgets check|show|schema|test|convert`: budget files without a running Driftline."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from agents.budget_files import load_budget_paths
from agents.cli.budget_tests import TestOutput, print_results, run_file, verdict_of
from agents.cli.files import read_text
from agents.cli.output import ExitCode, Output, console, fail, people, print_json
from agents.settings import SettingsError, parse_duration_ms
from budgets.rule_file.convert import convert_rules
from budgets.rule_file.load import load_rules
from budgets.spec.errors import BudgetError
from budgets.spec.model import IndicatorSpec, ServiceBudget
from budgets.spec.schema import budget_file_schema

app = typer.Typer(
    no_args_is_help=True, help="Check and test budget files, show what they come to, make them from rules."
)

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Budget files or directories of them.")]
Step = Annotated[
    str,
    typer.Option(help="Evaluation step of the installation: default windows depend on it.", envvar="DRIFTLINE_STEP"),
]


def _load(files: list[Path], step: str) -> list[ServiceBudget]:
    try:
        return load_budget_paths(files, parse_duration_ms(step))
    except SettingsError as error:
        fail(str(error), ExitCode.USAGE)
    except ValueError as error:
        fail(f"--step: {error}", ExitCode.USAGE)


def number_text(value: float | None, unit: str) -> str:
    """A value with its unit, for people: ratios as percent.

    >>> number_text(0.005, "ratio"), number_text(1000.0, "1/s"), number_text(None, "ms")
    ('0.5 %', '1000 1/s', '-')
    """
    if value is None:
        return "-"
    return f"{value * 100:.6g} %" if unit == "ratio" else f"{value:.6g} {unit}"


def limit_text(spec: IndicatorSpec) -> str:
    """The limit as a person would say it.

    >>> from budgets.spec.load import load_budgets
    >>> limit_text(load_budgets('{"a": {"throughput": {"min_rps": 5}}}', "a.json", step_ms=1000)[0].indicators[0])
    'at least 5 1/s'
    """
    if spec.limit is None:
        return "no limit"
    return f"{'at most' if spec.direction == 'above' else 'at least'} {number_text(spec.limit, spec.unit)}"


@app.command()
def check(files: Files, step: Step = "15s") -> None:
    """Check budget files: exit 0 and what was found in them, or 2 and every mistake."""
    budgets = _load(files, step)
    for budget in budgets:
        console.print(f"{budget.service} ({budget.source})", markup=False)
        for spec in budget.indicators:
            console.print(f"  {spec.name}: {limit_text(spec)}", markup=False)
    indicators = sum(len(budget.indicators) for budget in budgets)
    console.print(f"ok: {len(budgets)} services, {indicators} indicators")


def _table(budgets: list[ServiceBudget]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("indicator", "limit", "warning", "critical", "regression", "expression"):
        table.add_column(column, overflow="fold")
    for spec in (spec for budget in budgets for spec in budget.indicators):
        beyond = ">" if spec.direction == "above" else "<"
        levels = [
            "-" if level is None else f"{beyond} {number_text(level, spec.unit)}"
            for level in (spec.warning, spec.critical)
        ]
        sign = "+" if spec.direction == "above" else "-"
        regression = f"{sign}{spec.regression_warning * 100:.4g}/{spec.regression_critical * 100:.4g} %"
        cells = (spec.id, limit_text(spec), *levels, regression, spec.expr)
        table.add_row(*(Text(cell) for cell in cells))
    return table


@app.command()
def show(
    files: Files,
    step: Step = "15s",
    output: Annotated[Output, typer.Option(help="How to print it.")] = Output.TABLE,
) -> None:
    """Show every indicator with its expression and absolute limits; all defaults filled in."""
    budgets = _load(files, step)
    if output is Output.JSON:
        items: list[dict[str, Any]] = [msgspec.to_builtins(spec) for budget in budgets for spec in budget.indicators]
        print_json({"items": items})
    else:
        console.print(_table(budgets))


@app.command()
def schema() -> None:
    """Print the JSON Schema of budget files, for editors."""
    print_json(budget_file_schema())


@app.command("test")
def run_tests(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Test files in promtool's format.")],
    output: Annotated[TestOutput, typer.Option(help="How to print it.")] = TestOutput.TABLE,
) -> None:
    """Run unit tests of budgets and expressions: exit 0 all pass, 1 one fails, 2 wrong file, 3 not all evaluated."""
    results = []
    problems = []
    for file in files:
        try:
            results.append(run_file(file))
        except (BudgetError, SettingsError) as error:
            problems.append(str(error))
    if problems:
        fail("\n".join(problems), ExitCode.USAGE)
    print_results(results, output)
    raise typer.Exit(verdict_of(results))


@app.command()
def convert(
    files: Annotated[list[Path], typer.Argument(metavar="RULES…", help="Prometheus rule files.")],
    service: Annotated[str | None, typer.Option(help="Service of the rules that name none.")] = None,
) -> None:
    """Make a budget file of alerting rules, on stdout; what cannot be taken is on stderr. Exit 3: nothing can."""
    try:
        rules = [rule for file in files for rule in load_rules(read_text(file), str(file))]
    except (BudgetError, SettingsError) as error:
        fail(str(error), ExitCode.USAGE)
    conversion = convert_rules(rules, service)
    for remark in conversion.remarks:
        what = "look at it: " if remark.was_taken else "not taken: "
        people.print(what + str(remark), style="yellow", markup=False)
    people.print(f"{conversion.taken} of {len(rules)} rules became {conversion.indicators} indicators", markup=False)
    if not conversion.taken:
        raise typer.Exit(ExitCode.INCONCLUSIVE)
    typer.echo(conversion.text, nl=False)

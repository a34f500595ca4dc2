"""docs/budget-tests.md says what the code does: its examples are run."""

from pathlib import Path

from typer.testing import CliRunner

from agents.cli.budgets import app
from budgets.rule_file.convert import convert_rules
from budgets.rule_file.load import load_rules

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "budget-tests.md").read_text(encoding="utf-8")


def examples() -> list[str]:
    return [block.split("```")[0] for block in PAGE.split("```yaml\n")[1:]]


def test_the_test_of_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_text(examples()[0], encoding="utf-8")
    (tmp_path / "shop.yaml").write_text(examples()[1], encoding="utf-8")
    result = CliRunner().invoke(app, ["test", str(tmp_path / "test.yaml")])
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("5 passed, 0 failed, 0 not evaluated\n")


def test_the_tests_of_the_shipped_budgets_pass() -> None:
    files = sorted((ROOT / "examples" / "budget-tests").iterdir())
    assert files
    result = CliRunner().invoke(app, ["test", *(str(file) for file in files)])
    assert result.exit_code == 0, result.output


def test_the_rules_of_the_page_become_what_it_says() -> None:
    rules, budgets = examples()[2:]
    assert convert_rules(load_rules(rules, "rules.yml")).text == budgets

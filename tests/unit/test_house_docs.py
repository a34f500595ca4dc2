"""Documents say what is: commands exist, files exist, links lead somewhere, examples load."""

import json
import re
from pathlib import Path

import pytest
import yaml

from agents.cli.main import COMMANDS, create_app
from agents.cli.output import ExitCode
from budgets.spec.load import load_budgets

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def code_of(text: str) -> str:
    """What a document says in code: blocks and inline."""
    return "\n".join("".join(found) for found in re.findall(r"```.*?\n(.*?)```|`([^`\n]+)`", text, re.DOTALL))


def test_every_target_of_the_house_is_there_and_explains_itself() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    wanted = {"help", "setup", "run", "test", "check", "bench", "kafka", "image", "golden"}
    assert wanted <= make_targets()
    assert wanted <= set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_make_commands_in_documents_exist(path: Path) -> None:
    named = set(re.findall(r"(?:^|[`( ])make ([a-z]+)", code_of(path.read_text(encoding="utf-8")), re.MULTILINE))
    assert named <= make_targets()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_driftline_commands_in_documents_exist(path: Path) -> None:
    if path.name == "CHANGELOG.md":
        return
    named = set(re.findall(r"(?:^|[`/ ])driftline ([a-z]+)", code_of(path.read_text(encoding="utf-8")), re.MULTILINE))
    assert named <= set(COMMANDS)


def test_the_two_commands_stand_at_the_top_of_the_readme() -> None:
    first_block = README.partition("```")[2].partition("```")[0]
    assert re.findall(r"^make (\w+)", first_block, re.MULTILINE) == ["run", "test"]


def test_the_readme_names_every_exit_code_that_a_command_gives() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", README, re.MULTILINE)}
    assert codes == {int(code) for code in ExitCode} - {ExitCode.LOAD_TOOL}  # no command runs a load tool yet


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_files_that_documents_name_exist(path: Path) -> None:
    files = {name_of(file) for file in ROOT.rglob("*") if not {".venv", ".git"} & set(file.parts)}
    named = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|sh|toml|yml|lock))`", path.read_text(encoding="utf-8"))
    given = {"prometheus.yml"}  # the reader's own
    missing = [
        name for name in named if name not in given and not any(f"/{file}".endswith(f"/{name}") for file in files)
    ]
    assert missing == []


def test_the_decisions_are_all_listed_and_numbered() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("0*.md"))
    assert re.findall(r"\]\((0[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8")) == pages
    for number, name in enumerate(pages, 1):
        assert name.startswith(f"{number:04d}-")
        assert (folder / name).read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_the_budgets_of_the_readme_load() -> None:
    (as_json,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    as_yaml = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "indicators" in block)
    (auth,) = load_budgets(as_json, "readme.json", step_ms=15_000)
    (checkout,) = load_budgets(as_yaml, "readme.yaml", step_ms=15_000)
    p95 = next(indicator for indicator in auth.indicators if indicator.name == "response_time_p95")
    assert (p95.warning, p95.critical, p95.regression_warning) == (160.0, 200.0, 0.15)
    assert [indicator.limit for indicator in checkout.indicators] == [500.0]
    assert json.loads(as_json).keys() == {"auth-service"}


def test_the_remote_write_of_the_readme_leads_to_the_default_address() -> None:
    block = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "remote_write" in block)
    assert yaml.safe_load(block) == {"remote_write": [{"url": "http://127.0.0.1:9797/api/v1/write"}]}


def test_all_commands_can_be_loaded_together() -> None:
    app = create_app()
    assert len(app.registered_commands) + len(app.registered_groups) == len(COMMANDS)

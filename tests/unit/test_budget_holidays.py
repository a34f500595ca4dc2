"""The file of holidays that a budget file may name."""

from pathlib import Path

import pytest

from agents.budget_files import load_budget_paths, parse_contents, read_contents
from agents.settings import SettingsError
from budgets.spec.errors import BudgetError
from budgets.spec.load import load_budgets

BUDGET = "api:\n  holidays: berlin.txt\n  throughput: {min_rps: 1}\n"


def write(directory: Path, holidays: str) -> Path:
    (directory / "berlin.txt").write_text(holidays, encoding="utf-8")
    path = directory / "api.yaml"
    path.write_text(BUDGET, encoding="utf-8")
    return path


def holidays_of(directory: Path, holidays: str) -> tuple[str, ...]:
    (budget,) = load_budget_paths([write(directory, holidays)], 1000)
    return budget.indicators[0].holidays


def test_dates_stand_one_a_line_with_or_without_a_name(tmp_path: Path) -> None:
    text = "\ufeff# Berlin\n2026-12-26\n\n2026-12-25 Christmas Day # off\n2026-12-25\n"
    assert holidays_of(tmp_path, text) == ("2026-12-25", "2026-12-26")


@pytest.mark.parametrize("word", ["25.12.2026", "2026-13-01", "20261225", "Christmas"])
def test_what_is_no_date_is_named_with_both_places(tmp_path: Path, word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        holidays_of(tmp_path, f"2026-12-24\n{word} off\n")
    expected = f"berlin.txt:2: expected a date such as 2026-12-25 and perhaps a name, got {word!r}"
    assert str(caught.value) == f"{tmp_path}/api.yaml:2: api.holidays: {expected}"


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(BUDGET, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"api.yaml:2: api.holidays: .*berlin.txt: No such file"):
        load_budget_paths([path], 1000)


def test_text_without_a_place_names_no_files() -> None:
    with pytest.raises(BudgetError, match=r"2: api\.holidays: berlin\.txt cannot be read here"):
        load_budgets(BUDGET, "api.yaml", step_ms=1000)


def test_what_was_read_is_kept_for_the_watch_over_files(tmp_path: Path) -> None:
    reading = parse_contents(read_contents([write(tmp_path, "2026-12-25")]), 1000)
    assert reading.linked == {f"{tmp_path}/berlin.txt": b"2026-12-25"}


def test_a_directory_of_budgets_may_hold_their_holidays(tmp_path: Path) -> None:
    write(tmp_path, "2026-12-25")
    (budget,) = load_budget_paths([tmp_path], 1000)
    assert budget.indicators[0].holidays == ("2026-12-25",)

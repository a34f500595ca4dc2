"""Which files a path stands for, and what is said when they cannot be used together."""

from pathlib import Path

import pytest

from agents.budget_files import load_budget_paths, parse_contents, read_contents
from agents.settings import SettingsError


def write(path: Path, service: str = "api") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{service}: {{throughput: {{min_rps: 1}}}}\n", encoding="utf-8")
    return path


def services_of(*paths: Path) -> list[str]:
    return [budget.service for budget in load_budget_paths(paths, 1000)]


def mistakes_of(*paths: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_budget_paths(paths, 1000)
    return str(caught.value)


def test_a_directory_means_the_budget_files_directly_in_it(tmp_path: Path) -> None:
    for name, service in (("b.yaml", "b"), ("a.yml", "a"), ("deeper/x.yaml", "x"), (".hidden.yaml", "h")):
        write(tmp_path / name, service)
    (tmp_path / "c.json").write_text('{"c": {"throughput": {"min_rps": 1}}}', encoding="utf-8")
    (tmp_path / "README.md").write_text("not a budget", encoding="utf-8")
    assert services_of(tmp_path) == ["a", "b", "c"]


def test_a_mounted_config_map_is_read_once_through_its_links(tmp_path: Path) -> None:
    write(tmp_path / "..2026_11_24" / "api.yaml")
    (tmp_path / "..data").symlink_to("..2026_11_24")
    (tmp_path / "api.yaml").symlink_to("..data/api.yaml")
    assert services_of(tmp_path) == ["api"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    assert services_of(write(tmp_path / "api.yaml"), tmp_path, tmp_path / "." / "api.yaml") == ["api"]


def test_a_service_in_two_files_is_refused_naming_both(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.yaml"), write(tmp_path / "b.yaml")
    assert mistakes_of(tmp_path) == f"{second}: api: also in {first}, expected a service in one file"


def test_the_mistakes_of_all_files_are_said_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: {throughput: {min_rsp: 1}}", encoding="utf-8")
    (tmp_path / "b.yaml").write_bytes(b"b:\n  owner: \xff\n")
    write(tmp_path / "c.yaml")
    assert mistakes_of(tmp_path / "none.json", tmp_path).splitlines() == [
        f"{tmp_path}/none.json: No such file or directory",
        f"{tmp_path}/a.yaml:1: a.throughput.min_rsp: unknown key, did you mean min_rps?",
        f"{tmp_path}/b.yaml:2: not UTF-8 text",
    ]


def test_a_directory_without_budget_files_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path) == f"{tmp_path}: no budget file in it, expected *.json, *.yaml or *.yml"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "api.json"
    path.write_text('\ufeff{"api": {"throughput": {"min_rps": 1}}}', encoding="utf-8")
    assert services_of(path) == ["api"]


def test_problems_are_kept_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1", encoding="utf-8")
    write(tmp_path / "b.yaml")
    reading = parse_contents(read_contents([tmp_path]), 1000)
    assert list(reading.problems) == [f"{tmp_path}/a.yaml"]

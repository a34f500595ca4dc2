"""What has to hold for every file: the core is pure, the lock file and all texts are neutral, files stay small."""

import ast
import importlib.util
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = ("streams", "budgets")
# What reads a clock, draws, or reaches outside; imports of whole modules are import-linter's business as well.
IMPURE_CALLS = frozenset(
    {
        *("open", "print", "input", "exec", "eval", "__import__", "breakpoint"),
        *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
        *("Path.open", "Path.read_text", "Path.read_bytes", "Path.write_text", "Path.write_bytes"),
        *("np.random.default_rng", "numpy.random.default_rng", "uuid.uuid4", "uuid.uuid1"),
    }
)
IMPURE_MODULES = frozenset(
    {
        *("asyncio", "threading", "multiprocessing", "socket", "ssl", "subprocess", "os", "time", "random", "secrets"),
        *("logging", "uuid", "tempfile", "shutil", "pathlib", "io", "signal", "contextvars"),
        *("faust", "mode", "aiokafka", "aiohttp", "confluent_kafka", "prometheus_client", "structlog", "sqlalchemy"),
        *("pydantic_settings", "typer", "rich", "agents"),
    }
)
INDEX = "pypi.org"
PUBLIC_INDEX = {INDEX, "files.pythonhosted.org"}
# Names that stand in texts: documentation, namespaces, examples and this machine.
KNOWN_HOSTS = re.compile(
    r"""127\.0\.0\.1 | [A-Za-z0-9-]+ | .+\.invalid | .+\.internal\.example | ([a-z.-]+\.)?example(\.(org|com|net))?
        | (www\.)?json-schema\.org | maven\.apache\.org | www\.apache\.org | (www\.)?standardwebhooks\.com
        | docs\.slack\.dev | hooks\.slack\.com | prometheus\.io | kubernetes\.io | www\.rfc-editor\.org | www\.w3\.org
        | keepachangelog\.com | semver\.org | sre\.google | www\.asyncapi\.com | cloudevents\.io | docs\.astral\.sh
        | github\.com | htmx\.org
    """,
    re.VERBOSE,
)


def committed_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def text_files() -> Iterator[tuple[str, str]]:
    for path in committed_files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            assert path.suffix in {".ico", ".png", ".woff2", ".pb", ".bin", ".gz"}, f"{path} is no text"


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def impure_parts(source: str) -> list[str]:
    """What a module does that the core must not do."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in IMPURE_CALLS:
            found.append(f"line {node.lineno}: {name}()")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"line {node.lineno}: {name}" for name in modules if name.partition(".")[0] in IMPURE_MODULES]
    return found


@pytest.mark.parametrize(
    ("source", "pure"),
    [
        ("from datetime import UTC, datetime\nx = datetime.fromtimestamp(1, tz=UTC)", True),
        ("import math\nimport numpy as np\nx = np.zeros(3)", True),
        ("from datetime import datetime\ndef f(): return datetime.now()", False),
        ("def f(): return open('x')", False),
        ("def f():\n    import time", False),
        ("from os import environ", False),
        ("import numpy as np\nx = np.random.default_rng()", False),
    ],
)
def test_impurity_is_recognised(source: str, pure: bool) -> None:
    assert (impure_parts(source) == []) is pure


@pytest.mark.parametrize("path", python_files(*PURE), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_reads_no_clock_and_reaches_nowhere(path: Path) -> None:
    assert impure_parts(path.read_text(encoding="utf-8")) == []


def test_the_three_packages_are_ours_alone() -> None:
    owners = metadata.packages_distributions()
    for name in ("streams", "budgets", "agents"):
        # An editable installation is found by its path and has no list of its packages.
        assert set(owners.get(name, ())) <= {"driftline"}
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin == str(ROOT / name / "__init__.py")


def test_the_lock_file_names_only_the_public_index() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([^/\"]+)", lock)) == PUBLIC_INDEX
    sources = [package["source"] for package in tomllib.loads(lock)["package"]]
    assert {frozenset(source) for source in sources} == {frozenset({"registry"}), frozenset({"editable"})}
    assert {source["registry"] for source in sources if "registry" in source} == {f"https://{INDEX}/simple"}


def test_the_lock_file_holds_no_package_that_would_overwrite_ours() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    assert {package["name"] for package in packages}.isdisjoint({"agents", "budgets", "streams", "openai-agents"})


def test_no_text_names_a_registry_a_mirror_or_another_unknown_host() -> None:
    unknown = {
        f"{name}: {host}"
        for name, text in text_files()
        if name != "uv.lock"
        for host in re.findall(r"https?://([A-Za-z0-9][A-Za-z0-9.-]*)", text)
        if not KNOWN_HOSTS.fullmatch(host.rstrip("."))
    }
    assert unknown == set()


def test_no_text_names_a_machine_or_a_path_on_one() -> None:
    own = r"(?<![\w.-])/(?:root|work|home/[a-z]+|Users/[A-Za-z]+)/"
    hostname = socket.gethostname()
    named = re.compile(own + (rf"|\b{re.escape(hostname)}\b" if len(hostname) > 6 else ""))
    found = {f"{name}: {match[0]}" for name, text in text_files() for match in named.finditer(text)}
    assert found == set()


@pytest.mark.parametrize("folder", ["streams", "budgets", "agents", "tests", "benchmarks"])
def test_no_file_is_longer_than_four_hundred_lines(folder: str) -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in python_files(folder)}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path.stem for path in python_files("streams", "budgets", "agents")}
    assert names.isdisjoint({"utils", "util", "helpers", "manager", "base", "common", "core", "misc"})


def test_no_test_folder_shadows_a_package() -> None:
    assert [name for name in ("streams", "budgets", "agents") if (ROOT / "tests" / name).exists()] == []


def test_a_folder_says_in_which_order_to_read_it_and_exports_nothing() -> None:
    for path in python_files("streams", "budgets", "agents"):
        if path.name == "__init__.py":
            (docstring,) = ast.parse(path.read_text(encoding="utf-8")).body
            assert isinstance(docstring, ast.Expr), path


def test_the_layers_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    answer = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout

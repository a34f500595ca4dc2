"""docker-compose.yml, what it mounts and the Dockerfile, held to what they promise without a container engine.

The Compose specification's own loader (built through the Go module proxy) reads the file as `docker compose config`
would; hadolint reads the Dockerfile; the mounted files are read by those who will read them.
"""

import http.client
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.budget_files import load_budget_paths
from agents.settings import load_settings
from agents.stack import free_port
from tests.servers.prometheus import run_prometheus
from tests.servers.tools import find_program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "compose"
ROLES = ("ingest", "worker", "notifier", "web")


def load_compose(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(find_program("compose-spec")), "-format", "json", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    answer = load_compose(ROOT / "docker-compose.yml")
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)["services"]
    return found


@pytest.fixture(scope="module")
def own_services(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if service["image"].startswith("driftline:")}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("services: {web: {image: a, read_only: perhaps}}", "read_only"),
        ("services: {web: {image: a, helthcheck: {}}}", "helthcheck"),
        ("services: {web: {image: a, depends_on: {db: {condition: soon}}}}", "condition"),
    ],
)
def test_the_compose_loader_refuses_what_is_wrong(wrong: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(wrong, encoding="utf-8")
    answer = load_compose(tmp_path / "docker-compose.yml")
    assert answer.returncode != 0
    assert said in answer.stderr


@pytest.mark.integration
def test_kafka_every_role_a_prometheus_and_a_webhook_sink_are_there(services: dict[str, Any]) -> None:
    assert set(services) == {"kafka", "topics", *ROLES, "prometheus", "webhook-sink"}


@pytest.mark.integration
def test_everything_that_is_named_exists(services: dict[str, Any]) -> None:
    volumes = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["volumes"])
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {mount["source"] for mount in service["volumes"] if mount["type"] == "volume"} <= volumes


@pytest.mark.integration
def test_roles_start_after_the_topics_are_declared(services: dict[str, Any]) -> None:
    assert services["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for role in ROLES:
        assert services[role]["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert services[role]["command"][0] == role


@pytest.mark.integration
def test_our_containers_write_nothing_to_their_root_and_hold_no_capability(own_services: dict[str, Any]) -> None:
    assert set(own_services) == {"topics", *ROLES, "webhook-sink"}
    for service in own_services.values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]


@pytest.mark.integration
def test_no_container_can_gain_rights(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")


@pytest.mark.integration
def test_everything_that_stays_up_has_a_health_check(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"topics"}


@pytest.mark.integration
def test_published_ports_are_on_the_loopback_address(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    assert {port["published"] for port in published} == {"9090", "9797", "9798"}


@pytest.mark.integration
def test_every_mounted_file_is_committed_and_read_only(services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service["volumes"] if mount["type"] == "bind"]
    assert mounts
    for mount in mounts:
        assert Path(mount["source"]).exists()
        assert mount["read_only"] is True


def test_images_carry_the_versions_that_the_tests_ran_against() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    installer = (ROOT / "tests/servers/install.sh").read_text(encoding="utf-8")
    kafka = re.search(r"^KAFKA=(\S+)", installer, re.MULTILINE)
    prometheus = re.search(r"^PROMETHEUS=\S+\s+# (\S+)", installer, re.MULTILINE)
    assert kafka
    assert prometheus
    assert f"apache/kafka:{kafka[1]}\n" in compose
    assert f"prom/prometheus:v{prometheus[1]}\n" in compose


def test_the_image_tag_is_the_version_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)
    assert version
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    images = {service["image"] for service in compose["services"].values() if "build" in service}
    assert images == {f"driftline:{version[1]}"}


def test_the_settings_load_and_match_the_ports_and_addresses_of_the_compose_file() -> None:
    settings = load_settings(DEPLOY / "driftline.yaml", environ={})
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert settings.kafka.bootstrap == "kafka:9092"
    for role in ROLES:
        port = getattr(settings, role).listen.rpartition(":")[2]
        assert f"127.0.0.1:{port}/-/healthy" in compose["services"][role]["healthcheck"]["test"][-1]
    assert [receiver.url for receiver in settings.notifier.receivers] == ["http://webhook-sink:8080/"]


def test_the_budgets_load_and_watch_what_is_scraped() -> None:
    budgets = load_budget_paths([DEPLOY / "budgets"], 15_000)
    assert {indicator.id for budget in budgets for indicator in budget.indicators} == {
        "prometheus/response_time_p95",
        "prometheus/error_rate",
    }
    assert all('job="prometheus"' in indicator.expr for budget in budgets for indicator in budget.indicators)


def test_prometheus_scrapes_every_role_and_writes_to_ingest() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        target for job in config["scrape_configs"] for group in job["static_configs"] for target in group["targets"]
    }
    settings = load_settings(DEPLOY / "driftline.yaml", environ={})
    assert targets >= {f"{role}{getattr(settings, role).listen}" for role in ROLES}
    assert [write["url"] for write in config["remote_write"]] == ["http://ingest:9797/api/v1/write"]


@pytest.mark.integration
def test_a_real_prometheus_loads_its_configuration() -> None:
    with run_prometheus((DEPLOY / "prometheus.yml").read_text(encoding="utf-8")) as prometheus:
        assert prometheus.url


def test_the_webhook_sink_prints_what_it_gets() -> None:
    port = free_port()
    command = [sys.executable, str(DEPLOY / "webhook_sink.py"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sink:
        try:
            assert sink.stdout
            deadline = time.monotonic() + 20
            while True:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                try:
                    connection.request("POST", "/", json.dumps({"id": "e1"}), {"webhook-id": "e1"})
                    assert connection.getresponse().status == 204
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < deadline, "the sink does not answer"
                    threading.Event().wait(0.05)
                finally:
                    connection.close()
            lines = [sink.stdout.readline().strip() for _ in range(3)]
            assert lines == ["e1", "{", '"id": "e1"']
        finally:
            sink.terminate()


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    assert shutil.which(hadolint), "part of the development dependencies"
    answer = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "")


@pytest.fixture
def stages() -> list[str]:
    """The Dockerfile's stages, the last one is the image."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]


def test_the_image_runs_as_nobody_and_imports_from_no_working_directory(stages: list[str]) -> None:
    image = stages[-1]
    assert "USER 10001:10001" in image
    assert "PYTHONSAFEPATH=1" in image
    assert "ADD " not in image


def test_build_tools_stay_in_the_build_stage(stages: list[str]) -> None:
    assert "uv==" in stages[0]
    assert not re.search(r"\b(pip|uv sync|apt-get|gcc)\b", stages[-1])


def test_the_image_holds_only_what_runs() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert allowed == {"pyproject.toml", "uv.lock", "README.md", "LICENSE", "streams", "budgets", "agents", "examples"}
    copied = set(
        re.findall(r"^COPY (?!--)(.*) \./\S*$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {name for names in copied for name in names.split()} == allowed

"""The Helm chart: linted, rendered by Helm itself, held to Kubernetes' own schemas, read as the roles read it."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agents.budget_files import load_budget_paths
from agents.settings import KafkaSettings, ReceiverSettings, Settings, load_settings
from tests.servers.tools import find_program

pytestmark = pytest.mark.integration

CHART = Path(__file__).resolve().parents[2] / "helm" / "driftline"
VALUES = {"smallest": CHART / "ci" / "smallest-values.yaml", "full": CHART / "ci" / "full-values.yaml"}
KUBERNETES = ("1.31", "1.33", "1.37")
ROLES = ("ingest", "worker", "notifier", "web")
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Document = dict[str, Any]


def run_helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(find_program("Helm")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def template(values: Path, *options: str, version: str = KUBERNETES[-1]) -> subprocess.CompletedProcess[str]:
    return run_helm("template", "rel", CHART, "-n", "watch", "--kube-version", version, "-f", values, *options)


def render(name: str) -> list[Document]:
    answer = template(VALUES[name])
    assert answer.returncode == 0, answer.stderr
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


@pytest.fixture(scope="module")
def smallest() -> list[Document]:
    return render("smallest")


@pytest.fixture(scope="module")
def full() -> list[Document]:
    return render("full")


@pytest.fixture(params=["smallest", "full"])
def rendered(request: pytest.FixtureRequest) -> list[Document]:
    documents: list[Document] = request.getfixturevalue(request.param)
    return documents


def of_kind(documents: list[Document], *kinds: str) -> dict[str, Document]:
    return {found["metadata"]["name"]: found for found in documents if found["kind"] in kinds}


def containers(documents: list[Document]) -> list[Document]:
    pods = [workload["spec"]["template"]["spec"] for workload in of_kind(documents, *WORKLOADS).values()]
    return list(itertools.chain.from_iterable(pod["containers"] for pod in pods))


def settings_text(documents: list[Document]) -> str:
    text: str = of_kind(documents, "ConfigMap")["rel-driftline-settings"]["data"]["driftline.yaml"]
    return text


def load_rendered(documents: list[Document], scratch: Path) -> Settings:
    (scratch / "driftline.yaml").write_text(settings_text(documents), encoding="utf-8")
    return load_settings(scratch / "driftline.yaml", environ={})


@pytest.mark.parametrize("name", VALUES)
def test_the_chart_passes_the_strict_linter(name: str) -> None:
    answer = run_helm("lint", "--strict", CHART, "-f", VALUES[name])
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_every_manifest_is_valid_for_kubernetes(name: str, version: str) -> None:
    answer = template(VALUES[name], version=version)
    assert answer.returncode == 0, answer.stderr
    documents = [document for document in yaml.safe_load_all(answer.stdout) if document]
    assert len(documents) > 10
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_wrong_manifest_would_be_noticed(smallest: list[Document]) -> None:
    service = json.loads(json.dumps(of_kind(smallest, "Service")["rel-driftline-web"]))
    service["spec"]["ports"][0]["prot"] = "TCP"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("kafka.bootsrap=a:1", "bootsrap"),
        ("kafka.bootstrap=nowhere", "/kafka/bootstrap"),
        ("kafka.partitions=many", "partitions"),
        ("kafka.log_id=x", "log_id"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("worker.replicas=0", "replicas"),
        ("worker.replicas=17", "17 workers cannot share 16 partitions"),
        ("worker.resources.limit.memory=1Gi", "limit"),
        ("settings.step=15", "step"),
        ("settings.ingest.listen=:1", "listen"),
        ("settings.colour=red", "colour"),
        ("ingest.insecureListen=false", "ingest.webConfigSecret"),
        ("web.tls=true", "web.webConfigSecret"),
        ("database.urlSecret.name=", "urlSecret"),
        ("receivers[0].name=a,receivers[0].type=slack,receivers[0].url=https://slack.example/x", "urlFrom"),
        ("receivers[0].name=a,receivers[0].type=fax,receivers[0].url=https://a.example", "type"),
        ("receivers[0].name=a,receivers[0].type=webhook,receivers[0].secret=s", "secret"),
        ("receivers[0].name=a,receivers[0].type=webhook", "receivers"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_installed(option: str, said: str) -> None:
    answer = template(VALUES["smallest"], "--set", option)
    assert answer.returncode != 0
    assert said in answer.stderr


def test_the_four_roles_run_as_deployments_and_a_stateful_set_for_the_worker(rendered: list[Document]) -> None:
    assert set(of_kind(rendered, "Deployment")) == {f"rel-driftline-{role}" for role in ("ingest", "notifier", "web")}
    assert set(of_kind(rendered, "StatefulSet")) == {"rel-driftline-worker"}


def test_a_worker_keeps_its_group_membership_over_a_restart(full: list[Document]) -> None:
    worker = of_kind(full, "StatefulSet")["rel-driftline-worker"]["spec"]["template"]["spec"]["containers"][0]
    names = {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in worker["env"]}
    assert names == {"DRIFTLINE_WORKER__INSTANCE_ID": "metadata.name"}


def test_topics_are_declared_before_the_release_unless_somebody_else_does(
    smallest: list[Document], full: list[Document]
) -> None:
    job = of_kind(smallest, "Job")["rel-driftline-topics"]
    assert "pre-install" in job["metadata"]["annotations"]["helm.sh/hook"]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["topics", "create"]
    assert of_kind(full, "Job") == {}


def test_the_topics_job_reads_the_same_kafka_settings_as_the_roles(smallest: list[Document], tmp_path: Path) -> None:
    container = of_kind(smallest, "Job")["rel-driftline-topics"]["spec"]["template"]["spec"]["containers"][0]
    environ = {entry["name"]: str(entry["value"]) for entry in container["env"]}
    assert load_settings(environ=environ).kafka == load_rendered(smallest, tmp_path).kafka


def test_every_pod_is_unprivileged_and_has_a_read_only_root(rendered: list[Document]) -> None:
    for workload in of_kind(rendered, *WORKLOADS).values():
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        # Kubernetes' service links would be DRIFTLINE_ variables that nothing reads: an error at start.
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_every_role_is_probed_at_its_own_port(full: list[Document], tmp_path: Path) -> None:
    settings = load_rendered(full, tmp_path)
    for container in containers(full):
        port = int(getattr(settings, container["name"]).listen.rpartition(":")[2])
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        for probe, path in {"startup": "healthy", "liveness": "healthy", "readiness": "ready"}.items():
            assert container[f"{probe}Probe"]["httpGet"]["path"] == f"/-/{path}"
            assert container[f"{probe}Probe"]["httpGet"]["port"] == "http"


def test_probes_speak_tls_where_the_role_does(full: list[Document]) -> None:
    schemes = {found["name"]: found["readinessProbe"]["httpGet"]["scheme"] for found in containers(full)}
    assert schemes == {"ingest": "HTTPS", "worker": "HTTP", "notifier": "HTTP", "web": "HTTP"}


def test_every_role_survives_a_drained_node(rendered: list[Document]) -> None:
    budgets = of_kind(rendered, "PodDisruptionBudget")
    workloads = of_kind(rendered, "Deployment", "StatefulSet")
    assert set(budgets) == set(workloads)
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == workloads[name]["spec"]["selector"]


def test_every_service_leads_to_the_pods_of_its_role(rendered: list[Document]) -> None:
    workloads = of_kind(rendered, "Deployment", "StatefulSet")
    services = of_kind(rendered, "Service")
    assert set(services) == set(workloads)
    for name, service in services.items():
        labels = workloads[name]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()


def test_the_rendered_settings_load_and_say_what_the_values_say(full: list[Document], tmp_path: Path) -> None:
    settings = load_rendered(full, tmp_path)
    assert settings.step == 30_000
    assert settings.kafka == KafkaSettings(
        bootstrap="kafka-0.data.svc:9092,kafka-1.data.svc:9092",
        topic_prefix="team.driftline.",
        partitions=32,
        replication=3,
    )
    assert settings.ingest.max_series_per_request == 50_000
    assert settings.worker.session_timeout == 45_000
    assert settings.notifier.retry_max == 600_000


def test_receivers_reach_the_settings_with_their_secrets_as_mounted_files(full: list[Document], tmp_path: Path) -> None:
    receivers = load_rendered(full, tmp_path).notifier.receivers
    assert receivers == [
        ReceiverSettings(
            name="team-slack",
            type="slack",
            url_file=Path("/etc/driftline/receivers/team-slack/url"),
            severities=["warning", "critical"],
        ),
        ReceiverSettings(
            name="pager",
            type="webhook",
            url="https://pager.internal.example/alerts",
            secret_file=Path("/etc/driftline/receivers/pager/secret"),
            kinds=["budget"],
            services=["auth-service"],
            send_resolved=False,
            max_age=43_200_000,
        ),
    ]
    pod = of_kind(full, "Deployment")["rel-driftline-notifier"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {
        f"/etc/driftline/receivers/{item['path']}"
        for source in volumes["receivers"]["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    wanted = {str(path) for receiver in receivers for path in (receiver.url_file, receiver.secret_file) if path}
    assert mounted == wanted


def test_budgets_reach_the_publisher_and_load(full: list[Document], tmp_path: Path) -> None:
    data = of_kind(full, "ConfigMap")["rel-driftline-budgets"]["data"]
    web = next(container for container in containers(full) if container["name"] == "web")
    assert web["args"][-2:] == ["--budgets", "/etc/driftline/budgets"]
    assert "/etc/driftline/budgets" in {mount["mountPath"] for mount in web["volumeMounts"]}
    for name, text in data.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {budget.service for budget in load_budget_paths([tmp_path], 15_000)} == {"auth-service", "shop"}


def test_no_secret_stands_in_a_config_map(full: list[Document]) -> None:
    for config_map in of_kind(full, "ConfigMap").values():
        text = json.dumps(config_map["data"])
        assert not re.search(r"postgres|password|token|hooks\.slack|whsec_|\bsecret:", text)
    assert of_kind(full, "Secret") == {}


def test_changed_settings_restart_the_pods_and_changed_budgets_do_not() -> None:
    def checksums(*options: str) -> set[str]:
        answer = template(VALUES["full"], *options)
        assert answer.returncode == 0, answer.stderr
        return set(re.findall(r"checksum/settings: (\w+)", answer.stdout))

    before = checksums()
    assert len(before) == 1
    assert checksums("--set", "settings.step=10s") != before
    assert checksums("--set", "budgets.auth-service\\.json.other.error_rate.max_percentage=1") == before


def test_the_chart_offers_every_setting_that_it_does_not_decide_itself() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]["settings"]
    decided = {
        *("data_dir", "database_url", "kafka", "ingest.listen", "ingest.web_config_file", "ingest.insecure_listen"),
        *("web.listen", "web.web_config_file", "web.insecure_listen", "worker.listen", "worker.insecure_listen"),
        *("worker.instance_id", "notifier.listen", "notifier.insecure_listen", "notifier.receivers"),
    }
    offered = {
        f"{key}.{inner}" if "properties" in value else key
        for key, value in schema["properties"].items()
        for inner in value.get("properties", [key])
    }
    known = set()
    for key, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        known |= {key} if inner is None or key in decided else {f"{key}.{name}" for name in inner}
    assert offered | decided == known

"""docs/configuration.md: every setting with its default and its environment variable, from the settings themselves.

What a setting means is said here, once; a setting without a meaning here, or a meaning without a setting, is an
error, so neither can be forgotten.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agents.settings import PREFIX, ReceiverSettings, Settings

# Set by `driftline up` for its children; not for people.
INTERNAL = frozenset({"kafka.log_id"})

INTRODUCTION = """\
# Configuration

<!-- Written by `make golden` from agents/settings.py and tests/golden/settings_page.py: change it there. -->

Settings come from a YAML file (`--config FILE`, or `DRIFTLINE_CONFIG`), then from the environment, then from the
command line's own options; the later one wins. An unknown key and a `DRIFTLINE_` variable that nothing reads are
errors: the command ends with exit code 2 and names the place.

A setting's environment variable is its path in capital letters, with two underscores between the levels. Lists are
written as YAML or JSON: `DRIFTLINE_NOTIFIER__RECEIVERS='[{"name": "team", "type": "webhook", "url": "https://…"}]'`.
Durations are written as in Prometheus: `15s`, `1m30s`, `7d`.

A role that listens beyond the loopback address without authentication refuses to start, unless its `insecure_listen`
is set: put it behind a `web_config_file`, or behind a network that you trust.
"""

SECTIONS: Mapping[str, str] = {
    "": "All roles",
    "kafka": "Kafka",
    "ingest": "Ingest",
    "worker": "Worker",
    "notifier": "Notifier",
    "web": "Web",
}

MEANINGS: Mapping[str, str] = {
    "data_dir": "Where `up`, the embedded broker and SQLite keep their files.",
    "database_url": "SQLAlchemy URL of the history and the outbox; empty = SQLite in `data_dir`. "
    "PostgreSQL: `postgresql+asyncpg://user:password@host/driftline`.",
    "step": "Evaluation step, 1s to 5m: every indicator has one value a step.",
    "evaluation_delay": "How long after a step its samples may still arrive before it closes.",
    "log_format": "`console` for people, `json` for machines; one line an event on stderr.",
    "kafka.bootstrap": "HOST:PORT[,HOST:PORT…] of the cluster.",
    "kafka.topic_prefix": "Before every topic's name; a second installation on one cluster needs another one.",
    "kafka.partitions": "Partitions of the topics that have many: the most workers that can share the load. "
    "Only for topics that are made; `up` with the embedded broker takes 4.",
    "kafka.replication": "Copies of every partition, for topics that are made. From 3 on, 2 must have a write "
    "before it is acknowledged.",
    "ingest.listen": "Address of the remote-write endpoint, the probes and `/metrics`.",
    "ingest.web_config_file": "TLS, client certificates, users and bearer tokens: see below.",
    "ingest.insecure_listen": "Listen beyond loopback without authentication.",
    "ingest.max_body_bytes": "Largest request body, compressed; beyond: 413.",
    "ingest.max_decoded_bytes": "Largest request, decompressed, by what its header declares; beyond: 413.",
    "ingest.max_series_per_request": "Most series in one request; beyond: 413.",
    "ingest.max_labels_per_series": "Most labels of one series; beyond: 413.",
    "ingest.max_label_bytes": "Longest label set of one series; beyond: 413.",
    "ingest.max_cached_blobs": "Label sets whose routing is remembered: bounds memory, not what is accepted.",
    "ingest.max_series": "Series that budgets need, written within twenty minutes to this process; new ones beyond are "
    "refused.",
    "ingest.max_remembered_bytes": "Earlier requests, whose series are recognised when they come again in the same "
    "order: about 300 bytes a series, 370 in 2.0. Bounds memory, not what is accepted; 0 = none, every series is "
    "looked up.",
    "ingest.max_pending_bytes": "Bytes waiting for Kafka; beyond: 503, and the sender tries again.",
    "ingest.ha.cluster_label": "The label that says which Prometheis scrape the same targets.",
    "ingest.ha.replica_label": "The label that tells them apart; it is removed. Empty = every series is taken.",
    "ingest.ha.failover_timeout": "An elected replica that is silent for so long is replaced by one that writes. "
    "Longer than a replica's longest pause between two requests.",
    "worker.instance_id": "Static group membership, such as a pod's name: a restart within `session_timeout` moves no "
    "partitions. Empty = none.",
    "worker.listen": "Address of the probes and `/metrics`.",
    "worker.insecure_listen": "Listen beyond loopback without authentication.",
    "worker.snapshot_every": "How often the Judge's state is written: bounds how much is replayed after a restart.",
    "worker.session_timeout": "After this long without a sign of life a worker's partitions go to another one.",
    "worker.max_series": "Series with a window in this process; new ones beyond it are dropped and counted.",
    "worker.max_series_per_service": "The same for one service, so that its labels cannot take the room of others.",
    "worker.max_window_bytes": "What series and windows of this process may take when a new series comes; beyond, it "
    "is dropped and counted, and the known ones go on.",
    "worker.out_of_order_window": "How far behind the newest of its series a sample may come and still count in the "
    "steps that are not closed, at most `1h`; `0` = not at all, as Prometheus by default.",
    "notifier.listen": "Address of the probes and `/metrics`.",
    "notifier.insecure_listen": "Listen beyond loopback without authentication.",
    "notifier.receivers": "Who is told: a list, its keys below.",
    "notifier.allow_private_addresses": "Whether receivers may be on private and loopback addresses. "
    "False where others than you may set receivers.",
    "notifier.retry_initial": "Pause after the first failed attempt; doubles, with jitter.",
    "notifier.retry_max": "Longest pause between two attempts.",
    "web.listen": "Address of the page, the API, the probes and `/metrics`.",
    "web.web_config_file": "TLS, client certificates, users and bearer tokens: see below.",
    "web.insecure_listen": "Listen beyond loopback without authentication.",
    "web.public_url": "How people reach the page, for links in alerts.",
}

RECEIVER_MEANINGS: Mapping[str, str] = {
    "name": "Its name in logs, metrics and on the page; unique.",
    "type": "`webhook` (a signed alert event, as Standard Webhooks) or `slack`.",
    "url": "Where to send.",
    "url_file": "A file that holds the URL, read again when it changes: for URLs that are secrets.",
    "secret": "Signing secret of a webhook, `whsec_…`.",
    "secret_file": "A file that holds it, read again when it changes.",
    "severities": "What it gets, by severity.",
    "kinds": "What it gets, by kind of alert; empty = all.",
    "services": "What it gets, by service; empty = all.",
    "send_resolved": "Whether it is told that an alert is over.",
    "max_age": "A delivery older than this is given up and becomes a dead letter.",
}


def _children(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for key, field in _children(model, prefix):
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, f"{key}.")
        else:
            yield key, field


def _sections() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    shared: list[tuple[str, FieldInfo]] = []
    nested: list[tuple[str, list[tuple[str, FieldInfo]]]] = []
    for key, field in _children(Settings, ""):
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            nested.append((key, list(_leaves(field.annotation, f"{key}."))))
        else:
            shared.append((key, field))
    yield "", shared
    yield from nested


def _default(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default
    if _is_duration(field):
        return f"`{_duration(value)}`"
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _is_duration(field: FieldInfo) -> bool:
    return any(type(item).__name__ == "BeforeValidator" for item in field.metadata) and field.annotation is int


def _duration(value_ms: int) -> str:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if value_ms % size == 0 and value_ms >= size:
            return f"{value_ms // size}{unit}"
    return f"{value_ms}ms"


def _rows(fields: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    yield "| key | environment variable | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in fields:
        if key not in INTERNAL:
            variable = PREFIX + key.replace(".", "__").upper()
            yield f"| `{key}` | `{variable}` | {_default(key, field)} | {MEANINGS[key]} |"


def _receiver_rows() -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for key, field in _children(ReceiverSettings, ""):
        yield f"| `{key}` | {_default(key, field)} | {RECEIVER_MEANINGS[key]} |"


WEB_CONFIG = """\
## The file that `web_config_file` names

The shape of Prometheus' own `web.config.file`, and bearer tokens. File names are relative to the file; all of it is
read again when it changes. Every key is optional; `tls_server_config` alone encrypts, users, tokens or a required
client certificate authenticate. All tokens are valid at once, so that they can be rotated.

```yaml
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  min_version: TLS12                             # or TLS13
  client_auth_type: RequireAndVerifyClientCert   # or VerifyClientCertIfGiven, NoClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.org]
basic_auth_users:                   # name: bcrypt hash, made with htpasswd -nBC 10 NAME
  prometheus: $2b$10$m65/s3pH9Em.qQoz0ApKrePp7zDlCxvmmunZjKaQa.xDyXVb2hK.K
basic_auth_user_files:              # name: a file that holds the hash
  vmagent: vmagent.hash
bearer_tokens: [a-long-random-token]
bearer_token_files: [tokens]        # one token a line
```
"""


def settings_page() -> str:
    """The whole page.

    Raises:
        KeyError: a setting has no meaning here.
        ValueError: a meaning has no setting.
    """
    sections = list(_sections())
    known = {key for _, fields in sections for key, _ in fields} - INTERNAL
    if gone := sorted(set(MEANINGS) - known | set(RECEIVER_MEANINGS) - set(ReceiverSettings.model_fields)):
        raise ValueError(f"no such settings any more: {', '.join(gone)}")
    lines = [INTRODUCTION]
    for section, fields in sections:
        lines += [f"## {SECTIONS[section]}", "", *_rows(fields), ""]
        if section == "notifier":
            lines += ["### Receivers", "", *_receiver_rows(), ""]
    return "\n".join([*lines, WEB_CONFIG])

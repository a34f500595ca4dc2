"""Settings of every role: one YAML file (`--config`), overridden by `DRIFTLINE_…` environment variables.

Built once in `main` and passed down. Unknown keys and `DRIFTLINE_` variables that nothing reads are errors.
Nested keys are joined by two underscores: `kafka.bootstrap` is `DRIFTLINE_KAFKA__BOOTSTRAP`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PREFIX = "DRIFTLINE_"
# Read by the command line (`--url`) and by the test suite, not by a role.
_READ_ELSEWHERE = {"DRIFTLINE_URL", "DRIFTLINE_CONFIG", "DRIFTLINE_TOOLS"}
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class SettingsError(Exception):
    """The operator's mistake: names the place and what was expected. Exit code 2."""


def parse_duration_ms(text: object) -> int:
    """A Prometheus duration as milliseconds.

    >>> parse_duration_ms("1m30s")
    90000

    Raises:
        ValueError: not a duration.
    """
    if isinstance(text, str) and re.fullmatch(r"(\d+(ms|[smhdw]))+", text):
        return sum(int(n) * _UNIT_MS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdw])", text))
    raise ValueError(f"expected a duration such as 15s or 1m30s, got {text!r}")


def _split_listen(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r".*:\d+", text):
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return text


DurationMs = Annotated[
    int, BeforeValidator(lambda value: value if isinstance(value, int) else parse_duration_ms(value))
]
Listen = Annotated[str, BeforeValidator(_split_listen)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """Where the log is.

    log_id: which incarnation of the log this is. Set by `up` for the embedded broker, whose offsets begin anew with
        every start: positions kept in SQL hold for one `log_id` only. Empty for a real cluster.
    """

    bootstrap: str = "127.0.0.1:9092"
    log_id: str = ""
    topic_prefix: str = "driftline."
    partitions: int = Field(default=16, ge=1)
    replication: int = Field(default=1, ge=1)


class HaSettings(_Section):
    """HA pairs: series that two Prometheis send, told apart by a label.

    replica_label: its name; empty = no pairs. failover_timeout: how long an elected replica may be silent; longer than
        a replica's longest pause between two requests.
    """

    cluster_label: str = "cluster"
    replica_label: str = "__replica__"
    failover_timeout: Annotated[DurationMs, Field(ge=1_000)] = 20_000


class IngestSettings(_Section):
    """The remote-write endpoint. Limits are checked before the work that they bound.

    max_series: series that budgets need, written within the last twenty minutes; new ones beyond are refused.
    max_cached_blobs: series whose labels need not be read again, needed or not; half of it is always held.
    max_remembered_bytes: earlier requests, to recognise series by those before them; 300 a series, 370 in 2.0.
    """

    listen: Listen = "127.0.0.1:9797"
    web_config_file: Path | None = None
    insecure_listen: bool = False
    max_body_bytes: int = 16 * 1024 * 1024
    max_decoded_bytes: int = 32 * 1024 * 1024
    max_series: int = 1_000_000
    max_series_per_request: int = 100_000
    max_labels_per_series: int = 64
    max_label_bytes: int = 16 * 1024
    max_cached_blobs: int = 2_000_000
    max_remembered_bytes: int = Field(default=512 * 1024 * 1024, ge=0)
    max_pending_bytes: int = 64 * 1024 * 1024
    ha: HaSettings = HaSettings()


class WorkerSettings(_Section):
    """The Faust worker. instance_id: static group membership (a pod's name); empty = none.

    max_series, max_series_per_service, max_window_bytes: of all partitions of the process together; new series beyond
        are not taken. The bytes are half as many again as 5 million series with windows of 5 minutes at 15 s take;
        one service may have a tenth of the series, so that it takes ten gone wild to shut others out.
    out_of_order_window: as `streams.meter.OUT_OF_ORDER_MS`, which says why.
    """

    instance_id: str = ""
    listen: Listen = "127.0.0.1:9799"
    insecure_listen: bool = False
    snapshot_every: DurationMs = 120_000
    session_timeout: DurationMs = 10_000
    max_series: int = Field(default=5_000_000, ge=1)
    max_series_per_service: int = Field(default=500_000, ge=1)
    max_window_bytes: int = Field(default=4 * 1024 * 1024 * 1024, ge=1)
    out_of_order_window: Annotated[DurationMs, Field(ge=0, le=3_600_000)] = 30_000


class ReceiverSettings(_Section):
    """One receiver. `…_file` keys are read again when the file changes.

    severities, kinds, services: what it gets; empty = all.
    """

    name: str
    type: Literal["webhook", "slack"]
    url: str = ""
    url_file: Path | None = None
    secret: str = ""
    secret_file: Path | None = None
    severities: list[Literal["info", "warning", "critical"]] = ["warning", "critical"]
    kinds: list[str] = []
    services: list[str] = []
    send_resolved: bool = True
    max_age: DurationMs = 86_400_000


class NotifierSettings(_Section):
    """Receivers and how patiently they are tried."""

    listen: Listen = "127.0.0.1:9796"
    insecure_listen: bool = False
    receivers: list[ReceiverSettings] = []
    allow_private_addresses: bool = True
    retry_initial: DurationMs = 1_000
    retry_max: DurationMs = 300_000


class WebSettings(_Section):
    """API and status page."""

    listen: Listen = "127.0.0.1:9798"
    web_config_file: Path | None = None
    insecure_listen: bool = False
    public_url: str = ""


class Settings(_Section):
    """Everything that can be set, all roles together: a role reads its section and the shared keys."""

    data_dir: Path = Path("data")
    database_url: str = ""
    step: Annotated[DurationMs, Field(ge=1_000, le=300_000)] = 15_000
    evaluation_delay: DurationMs = 10_000
    log_format: Literal["console", "json"] = "console"
    kafka: KafkaSettings = KafkaSettings()
    ingest: IngestSettings = IngestSettings()
    worker: WorkerSettings = WorkerSettings()
    notifier: NotifierSettings = NotifierSettings()
    web: WebSettings = WebSettings()

    def database(self) -> str:
        """The SQLAlchemy URL: SQLite under `data_dir` unless one is set."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.absolute()}/driftline.db"

    def topic(self, name: str) -> str:
        """The full name of a topic: `samples` -> `driftline.samples`."""
        return self.kafka.topic_prefix + name


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in _READ_ELSEWHERE:
            continue
        *sections, key = variable.removeprefix(PREFIX).lower().split("__")
        target = document
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise SettingsError(f"environment: {variable}: {section} is not a section")
        # Lists and numbers are written as YAML; times such as 10s stay text.
        target[key] = yaml.safe_load(text) if text.startswith(("[", "{")) else text


def _explain(error: ValidationError, origin: str) -> Iterator[str]:
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        variable = PREFIX + "__".join(str(part).upper() for part in item["loc"])
        yield f"{origin}: {key} ({variable}): {item['msg'].removeprefix('Value error, ')}"


def load_settings(
    path: Path | None = None, environ: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from a file, then the environment, then the command line's own options.

    Args:
        path: a YAML file, None = no file.
        environ: variables; those without the prefix are ignored.
        overrides: nested like the file; wins over everything.

    Raises:
        SettingsError: unreadable, unknown or wrong, with the place.
    """
    document: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise SettingsError(f"{path}: {error}") from error
        if not isinstance(loaded, dict | None):
            raise SettingsError(f"{path}: expected a mapping of settings, got {type(loaded).__name__}")
        document = loaded or {}
    _overlay(document, environ)
    for key, value in (overrides or {}).items():
        if isinstance(value, Mapping):
            document[key] = {**(document.get(key) or {}), **value}
        else:
            document[key] = value
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error, str(path or "environment")))) from error


def split_listen(listen: str) -> tuple[str, int]:
    """`127.0.0.1:9797` as host and port; an empty host means every interface."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  the caller checks --insecure-listen

"""All roles on one machine: what `driftline up` and `driftline demo` start.

The embedded broker, SQLite and four child processes, or the same with somebody's Kafka. Only the bootstrap
address differs.
"""

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from agents.settings import PREFIX, Settings, SettingsError
from agents.supervisor import Child, driftline_command, stop_in_order, wait_ready

BROKER_READY_SECONDS = 30.0
ROLES_READY_SECONDS = 60.0
STOP_ORDER = ("ingest", "worker", "notifier", "web", "broker")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _flatten(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, str]:
    """Nested settings as environment variables."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, (*path, key))
        else:
            text = json.dumps(value) if isinstance(value, list) else str(value)
            flat[PREFIX + "__".join((*path, key)).upper()] = text
    return flat


def lock_data_dir(data_dir: Path) -> IO[str]:
    """Hold the data directory for this process alone, as long as the returned file is open.

    Raises:
        SettingsError: another `up` runs on it, or it cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"data directory {data_dir}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise SettingsError(f"data directory {data_dir} is in use by another driftline") from error
    return lock


@dataclass(slots=True)
class Stack:
    """The children of one `up`.

    settings: as every role sees them. overrides: what is passed to the children beyond file and environment.
    """

    settings: Settings
    config: Path | None
    overrides: dict[str, Any]
    embedded: bool
    children: dict[str, Child]

    def environ(self) -> dict[str, str]:
        """The children's environment: ours, then the overrides."""
        return {**os.environ, **_flatten(self.overrides)}

    async def start_broker(self) -> str:
        """Start the embedded broker and return its bootstrap address.

        Raises:
            TimeoutError: it did not come up.
        """
        address_file = self.settings.data_dir / "broker.json"
        address_file.unlink(missing_ok=True)
        command = driftline_command("broker")
        broker = Child("broker", command + self._config_arguments(), self.environ())
        self.children["broker"] = broker
        await broker.start()
        deadline = time.monotonic() + BROKER_READY_SECONDS
        while time.monotonic() < deadline:
            if address_file.exists():
                return str(json.loads(address_file.read_text())["bootstrap"])
            await asyncio.sleep(0.05)
        raise TimeoutError("the embedded broker did not start")

    def use_kafka(self, bootstrap: str) -> None:
        """Point every role that is started from now on to `bootstrap`."""
        self.overrides.setdefault("kafka", {})["bootstrap"] = bootstrap
        kafka = self.settings.kafka.model_copy(update={"bootstrap": bootstrap})
        self.settings = self.settings.model_copy(update={"kafka": kafka})

    def _config_arguments(self) -> list[str]:
        return ["--config", str(self.config)] if self.config else []

    async def start_role(self, role: str) -> None:
        """Start one role; `wait_ready` waits for it."""
        listen = getattr(self.settings, role).listen
        child = Child(
            role, driftline_command(role) + self._config_arguments(), self.environ(), f"http://{listen}/-/ready"
        )
        self.children[role] = child
        await child.start()

    async def wait_ready(self, seconds: float = ROLES_READY_SECONDS) -> None:
        """Return when every started role is ready.

        Raises:
            TimeoutError: names the ones that are not.
        """
        await wait_ready(list(self.children.values()), seconds)

    async def stop(self) -> None:
        """Stop everything, in the order that the data flows."""
        await stop_in_order([self.children[name] for name in STOP_ORDER if name in self.children])


def create_stack(settings: Settings, config: Path | None, overrides: Mapping[str, Any], *, embedded: bool) -> Stack:
    """A stack on `settings`; roles whose address nobody chose get free loopback ports."""
    chosen = yaml.safe_load(config.read_text(encoding="utf-8")) or {} if config else {}
    merged: dict[str, Any] = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in overrides.items()
    }
    update: dict[str, Any] = {}
    for role in ("worker", "notifier"):
        if "listen" in chosen.get(role, {}) or f"{PREFIX}{role.upper()}__LISTEN" in os.environ:
            continue
        listen = f"127.0.0.1:{free_port()}"
        merged.setdefault(role, {})["listen"] = listen
        update[role] = getattr(settings, role).model_copy(update={"listen": listen})
    merged["data_dir"] = str(settings.data_dir.absolute())
    update["data_dir"] = settings.data_dir.absolute()
    return Stack(settings.model_copy(update=update), config, merged, embedded, {})

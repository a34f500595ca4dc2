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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog
import yaml

from agents.kafka.embedded import ADDRESS_FILE, read_address
from agents.settings import PREFIX, Settings, SettingsError
from agents.supervisor import Child, driftline_command, stop_in_order, wait_ready

log = structlog.get_logger()

BROKER_READY_SECONDS = 30.0
ROLES_READY_SECONDS = 60.0
# A role whose broker is gone has nothing to finish.
LOST_ROLE_SECONDS = 1.0
STOP_ORDER = (("ingest",), ("worker",), ("notifier", "web"), ("broker",))


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
    budgets: what the web role publishes; none = somebody else does.
    """

    settings: Settings
    config: Path | None
    overrides: dict[str, Any]
    budgets: Sequence[Path] = ()
    children: dict[str, Child] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        """The children's environment: ours, then the overrides."""
        return {**os.environ, **_flatten(self.overrides)}

    async def start_broker(self) -> None:
        """Start the embedded broker and point every role to it.

        Raises:
            TimeoutError: it did not come up.
            SettingsError: it refused to start.
        """
        (self.settings.data_dir / ADDRESS_FILE).unlink(missing_ok=True)
        broker = Child("broker", driftline_command("broker") + self._config_arguments(), self.environ(), restart=False)
        self.children["broker"] = broker
        await broker.start()
        deadline = time.monotonic() + BROKER_READY_SECONDS
        while (address := read_address(self.settings.data_dir)) is None:
            await wait_ready([broker], 0)
            if time.monotonic() > deadline:
                raise TimeoutError("the embedded broker did not start")
            await asyncio.sleep(0.05)
        self.use_kafka(address.bootstrap, address.log_id)

    def use_kafka(self, bootstrap: str, log_id: str = "") -> None:
        """Point every role that is started from now on to `bootstrap`."""
        address = {"bootstrap": bootstrap, "log_id": log_id}
        self.overrides.setdefault("kafka", {}).update(address)
        self.settings = self.settings.model_copy(update={"kafka": self.settings.kafka.model_copy(update=address)})

    def _config_arguments(self) -> list[str]:
        return ["--config", str(self.config)] if self.config else []

    async def start_role(self, role: str) -> None:
        """Start one role; `wait_ready` waits for it."""
        listen = getattr(self.settings, role).listen
        command = driftline_command(role) + self._config_arguments()
        if role == "web":
            command += [word for path in self.budgets for word in ("--budgets", str(path))]
        child = Child(role, command, self.environ(), f"http://{listen}/-/ready")
        self.children[role] = child
        await child.start()

    async def wait_ready(self, *roles: str, seconds: float = ROLES_READY_SECONDS) -> None:
        """Return when these roles are ready; without names: every started one.

        Raises:
            TimeoutError: names the ones that are not.
            SettingsError: one of them refused to start.
        """
        await wait_ready([self.children[role] for role in roles or self.children], seconds)

    async def keep_broker(self) -> None:
        """When the broker dies, its address and all offsets are void: everything starts again on a new one."""
        while "broker" in self.children:
            await self.children["broker"].ended.wait()
            roles = [name for name in self.children if name != "broker"]
            log.error("the embedded broker died: it and every role start again", roles=roles)
            await asyncio.gather(*(self.children[role].stop(LOST_ROLE_SECONDS) for role in roles))
            await self.start_broker()
            for role in roles:
                await self.start_role(role)
            await self.wait_ready()
            log.warning("everything runs again", kafka=self.settings.kafka.bootstrap)
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Stop everything, in the order that the data flows."""
        children = self.children
        await stop_in_order([[children[name] for name in stage if name in children] for stage in STOP_ORDER])


def create_stack(
    settings: Settings, config: Path | None, overrides: Mapping[str, Any], budgets: Sequence[Path] = ()
) -> Stack:
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
    return Stack(settings.model_copy(update=update), config, merged, budgets)

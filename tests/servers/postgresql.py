"""A real PostgreSQL of the tests' own: Debian's binaries, a fresh data directory, a Unix user that is not root.

with run_postgresql() as server:
    url = server.create_database()
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from agents.stack import free_port
from tests.servers.tools import find_program

# PostgreSQL refuses to run as root. Debian's package makes the first, every machine has the second.
_USERS = ("postgres", "nobody")
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "60", "shared_buffers": "16MB"}


def _unprivileged_user() -> str | None:
    """Whom to run as; None = as we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _USERS if name in names)


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A running server. port: on loopback, without a password."""

    port: int
    user: str

    def create_database(self) -> str:
        """A fresh, empty database; returns its SQLAlchemy URL."""
        name = f"test_{uuid.uuid4().hex}"

        async def create() -> None:
            engine = create_async_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
            try:
                async with engine.connect() as connection:
                    await connection.execute(text(f"CREATE DATABASE {name}"))
            finally:
                await engine.dispose()

        asyncio.run(create())
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql+asyncpg://{self.user}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def run_postgresql() -> Iterator[PostgreSQL]:
    """Start a server on a free port and stop it at the end.

    Raises:
        MissingServerError: it is not installed.
        subprocess.CalledProcessError: it did not start; its log is in the error's output.
    """
    programs = find_program("PostgreSQL").parent
    user = _unprivileged_user()
    home = Path(tempfile.mkdtemp(prefix="driftline-postgresql-"))
    try:
        if user is not None:
            shutil.chown(home, user, pwd.getpwnam(user).pw_gid)
        data, port, owner = home / "data", free_port(), "driftline"

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", str(data), *arguments]
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=home)

        run("initdb", "-U", owner, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        options = " ".join(f"-c {key}={value}" for key, value in _SETTINGS.items())
        options += f" -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories=''"
        run("pg_ctl", "start", "--wait", "--log", str(home / "log"), "-o", options)
        try:
            yield PostgreSQL(port, owner)
        finally:
            run("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)

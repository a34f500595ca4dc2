"""One role as a child process on a free port, kept alive like `up` keeps it."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from agents.stack import free_port
from agents.supervisor import Child, driftline_command, wait_ready

START_SECONDS = 60.0


@asynccontextmanager
async def run_role(role: str, environ: Mapping[str, str]) -> AsyncIterator[Child]:
    """A role that is ready; its root is `child.probe_url` without `/-/ready`."""
    listen = f"127.0.0.1:{free_port()}"
    variables = {**os.environ, **environ, f"DRIFTLINE_{role.upper()}__LISTEN": listen}
    child = Child(role, driftline_command(role), variables, f"http://{listen}/-/ready")
    await child.start()
    try:
        await wait_ready([child], START_SECONDS)
        yield child
    finally:
        await child.stop()

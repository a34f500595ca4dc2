"""`/metrics`, `/-/healthy` and `/-/ready`: the same three answers in every role."""

import ipaddress
import os
import ssl
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from agents.settings import SettingsError, split_listen

# None = ready; otherwise the reason why not, for people.
Readiness = Callable[[], str | None]
# Who is ready: on a port that is taken, somebody else may answer.
PROCESS_HEADER = "X-Driftline-Process"


def create_registry() -> CollectorRegistry:
    """A registry with the process's own figures."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def add_probes(app: web.Application, registry: CollectorRegistry, ready: Readiness) -> None:
    """Serve the three probe paths on `app`."""

    async def metrics(request: web.Request) -> web.Response:
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encoder(registry), headers={"Content-Type": content_type})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="healthy\n")

    async def is_ready(_: web.Request) -> web.Response:
        reason = ready()
        headers = {PROCESS_HEADER: str(os.getpid())}
        return web.Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200, headers=headers)

    app.router.add_get("/metrics", metrics)
    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", is_ready)


def check_listen(listen: str, *, authenticated: bool, insecure_listen: bool) -> None:
    """Refuse to open an unauthenticated port to the network.

    Raises:
        SettingsError: not a loopback address, no authentication and no `--insecure-listen`.
    """
    host, _ = split_listen(listen)
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not (loopback or authenticated or insecure_listen):
        raise SettingsError(
            f"refusing to listen on {listen} without authentication: set web_config_file, or pass --insecure-listen"
        )


async def start_server(
    app: web.Application, listen: str, *, ssl_context: ssl.SSLContext | None = None, **options: object
) -> web.AppRunner:
    """Start serving; the caller awaits `cleanup()` of what is returned.

    Raises:
        SettingsError: the address cannot be bound.
    """
    host, port = split_listen(listen)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0, **options)  # type: ignore[arg-type]
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=ssl_context).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(f"cannot listen on {listen}: {error.strerror}") from error
    return runner

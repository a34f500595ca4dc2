"""Who may talk to a port: 401, 403, TLS, and secrets that change while we run."""

import asyncio
import base64
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from agents.access import Access, load_access
from agents.passwords import _NOBODY
from agents.probes import check_listen
from agents.settings import SettingsError

CERTIFICATES = Path(__file__).parents[1] / "certificates"
HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Port:
    url: str
    access: Access
    clock: Clock

    async def get(self, headers: dict[str, str] | None = None, path: str = "/x", **tls: str) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=str(CERTIFICATES / "ca.pem"))
        if "client" in tls:
            pair = CERTIFICATES / f"{tls['client']}.pem", CERTIFICATES / f"{tls['client']}.key"
            context.load_cert_chain(*pair)
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, headers=headers, ssl=context) as answer,
        ):
            return answer.status, answer.headers.get("WWW-Authenticate", "")

    async def status(self, headers: dict[str, str] | None = None, path: str = "/x", **tls: str) -> int:
        return (await self.get(headers, path, **tls))[0]


@asynccontextmanager
async def serving(path: Path | None) -> AsyncIterator[Port]:
    clock = Clock()
    access = Access(path, clock)
    app = web.Application(middlewares=[access.middleware()])

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    for route in ("/x", "/-/ready", "/-/healthy", "/metrics"):
        app.router.add_get(route, hello)
    server = TestServer(app)
    await server.start_server(ssl=access.ssl_context)
    scheme = "https" if access.ssl_context else "http"
    try:
        yield Port(f"{scheme}://127.0.0.1:{server.port}", access, clock)
    finally:
        await server.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the file with these keys; each time it is another file to the eye of who watches it."""

    def write_file(**document: object) -> Path:
        path = tmp_path / "web.yaml"
        fresh = tmp_path / "web.yaml.new"
        fresh.write_text(yaml.safe_dump(document), encoding="utf-8")
        return fresh.replace(path)

    return write_file


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_without_a_file_everybody_may() -> None:
    async with serving(None) as port:
        assert await port.status() == 200
        assert not port.access.authenticated


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (basic("alice", "right"), 200),
        (basic("alice", "wrong"), 401),
        (basic("bob", "right"), 401),
        (basic("alice", "right" + "x" * 100), 401),
        (basic("alice", "right\0"), 401),
        (bearer("first"), 200),
        (bearer("second"), 200),
        ({"Authorization": "bearer first"}, 200),
        (bearer("third"), 401),
        (bearer(""), 401),
        (bearer("fir\u00e9"), 401),
        ({"Authorization": "Basic not-base64!"}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"alice").decode()}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff:right").decode()}, 401),
        ({"Authorization": "Digest x"}, 401),
        ({}, 401),
    ],
)
async def test_users_and_tokens_are_checked(write: Callable[..., Path], headers: dict[str, str], status: int) -> None:
    path = write(basic_auth_users={"alice": HASH}, bearer_tokens=["first", "second"])
    async with serving(path) as port:
        for _ in range(2):  # the second answer comes from memory
            answered, challenge = await port.get(headers)
            assert answered == status
            assert challenge == ("" if status == 200 else f"{BASIC}, {BEARER}")
        assert port.access.authenticated


BASIC = 'Basic realm="driftline", charset="UTF-8"'
BEARER = 'Bearer realm="driftline"'


async def test_only_what_is_configured_is_asked_for(write: Callable[..., Path]) -> None:
    async with serving(write(bearer_tokens=["t"])) as port:
        assert await port.get(basic("alice", "right")) == (401, BEARER)
    async with serving(write(basic_auth_users={"alice": HASH})) as port:
        assert await port.get(bearer("t")) == (401, BASIC)


async def test_probes_stay_open_and_metrics_do_not(write: Callable[..., Path]) -> None:
    async with serving(write(bearer_tokens=["t"])) as port:
        assert await port.status(path="/-/ready") == await port.status(path="/-/healthy") == 200
        assert await port.status(path="/metrics") == 401


async def test_an_unknown_name_takes_a_real_check() -> None:
    assert bcrypt.checkpw(b"anything", _NOBODY.encode()) is False


async def test_secrets_in_files_rotate_without_a_restart(write: Callable[..., Path], tmp_path: Path) -> None:
    tokens, password = tmp_path / "tokens", tmp_path / "alice"
    tokens.write_text("old\n", encoding="utf-8")
    password.write_text(HASH + "\n", encoding="utf-8")
    path = write(bearer_token_files=["tokens"], basic_auth_user_files={"alice": "alice"})
    async with serving(path) as port:
        assert await port.status(bearer("old")) == await port.status(basic("alice", "right")) == 200
        tokens.write_text("old\nnew\n", encoding="utf-8")
        password.write_text(bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode(), encoding="utf-8")
        port.clock.now += 2
        assert await port.status(bearer("new")) == await port.status(bearer("old")) == 200
        assert (await port.status(basic("alice", "right")), await port.status(basic("alice", "other"))) == (401, 200)
        tokens.write_text("new\n", encoding="utf-8")
        port.clock.now += 2
        assert await port.status(bearer("old")) == 401


async def test_a_changed_file_is_followed_and_a_bad_one_leaves_the_last_good(write: Callable[..., Path]) -> None:
    async with serving(write(bearer_tokens=["first"])) as port:
        for bad in (
            {"bearer_token": ["typo"]},
            {"basic_auth_users": {"a": "plain"}},
            {},
            {"bearer_token_files": ["x"]},
        ):
            write(**bad)
            port.clock.now += 2
            assert await port.status(bearer("first")) == 200
            assert await port.status() == 401
        write(bearer_tokens=["second"])
        port.clock.now += 2
        assert (await port.status(bearer("first")), await port.status(bearer("second"))) == (401, 200)


def tls(**keys: object) -> dict[str, object]:
    return {
        "cert_file": str(CERTIFICATES / "server.pem"),
        "key_file": str(CERTIFICATES / "server.key"),
        **keys,
    }


CLIENTS = {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(CERTIFICATES / "ca.pem")}


async def test_tls_alone_asks_nobody_who_it_is(write: Callable[..., Path]) -> None:
    async with serving(write(tls_server_config=tls())) as port:
        assert await port.status() == 200
        assert not port.access.authenticated


async def test_a_client_certificate_is_required_and_verified(write: Callable[..., Path]) -> None:
    async with serving(write(tls_server_config=tls(**CLIENTS))) as port:
        assert port.access.authenticated
        assert await port.status() == 401
        assert await port.status(client="client") == 200
        assert await port.status(path="/-/ready") == 200
        with pytest.raises(aiohttp.ClientError):
            await port.status(client="stranger")


async def test_a_certificate_with_another_name_is_forbidden(write: Callable[..., Path]) -> None:
    names = {"client_allowed_sans": ["vmagent.example"]}
    async with serving(write(tls_server_config=tls(**CLIENTS, **names))) as port:
        assert await port.status(client="client") == 403
    names = {"client_allowed_sans": ["prometheus.example"]}
    async with serving(write(tls_server_config=tls(**CLIENTS, **names), bearer_tokens=["t"])) as port:
        assert await port.status(client="client") == 401
        assert await port.status(bearer("t"), client="client") == 200


async def test_an_optional_certificate_may_be_missing(write: Callable[..., Path]) -> None:
    config = tls(**CLIENTS) | {"client_auth_type": "VerifyClientCertIfGiven"}
    async with serving(write(tls_server_config=config)) as port:
        assert await port.status() == await port.status(client="client") == 200
        assert not port.access.authenticated


async def test_a_renewed_certificate_is_served_from_the_next_connection_but_one(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    for end in ("pem", "key"):
        shutil.copy(CERTIFICATES / f"server.{end}", tmp_path / f"mine.{end}")
    path = write(tls_server_config=tls(cert_file="mine.pem", key_file="mine.key"))
    async with serving(path) as port:
        assert await served_name(port) == "server"
        for end in ("pem", "key"):
            shutil.copy(CERTIFICATES / f"server-renewed.{end}", tmp_path / f"mine.{end}")
        port.clock.now += 2
        await served_name(port)
        assert await served_name(port) == "server-renewed"


async def served_name(port: Port) -> str:
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "ca.pem"))
    number = int(port.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", number, ssl=context)
    subject = writer.get_extra_info("peercert")["subject"]
    writer.close()
    await writer.wait_closed()
    return str(dict(pair for parts in subject for pair in parts)["commonName"])


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"basic_auth": {}}, "web.yaml: basic_auth: Extra inputs"),
        ({"basic_auth_users": {"alice": "hunter2"}}, "basic_auth_users.alice: expected a bcrypt hash"),
        ({"basic_auth_user_files": {"alice": "absent"}}, "absent: cannot be read"),
        ({"basic_auth_user_files": {"alice": "web.yaml"}}, "basic_auth_user_files.alice: expected a bcrypt hash"),
        ({"bearer_token_files": ["empty"]}, "empty: bearer_token_files: expected one token a line"),
        ({"tls_server_config": {"cert_file": "a"}}, "tls_server_config.key_file: Field required"),
        ({"tls_server_config": {"cert_file": "a", "key_file": "b"}}, "not a certificate with its key"),
        ({"tls_server_config": tls(client_ca_file="x")}, "client_auth_type: NoClientCert asks for no certificate"),
        ({"tls_server_config": tls(**CLIENTS) | {"client_ca_file": None}}, "client_ca_file: needed by"),
        ({"tls_server_config": tls(**CLIENTS) | {"client_ca_file": "empty"}}, "empty: not a certificate authority"),
        ({"tls_server_config": tls(client_auth_type="RequireAnyClientCert")}, "client_auth_type: Input should be"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place_and_without_its_secrets(
    write: Callable[..., Path], tmp_path: Path, document: dict[str, object], says: str
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError) as caught:
        load_access(write(**document))
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_is_not_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text("bearer_tokens:\n  - 'secret\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"web.yaml: line \d+: ") as caught:
        load_access(path)
    assert "secret" not in str(caught.value)


def test_beyond_loopback_somebody_must_be_asked(write: Callable[..., Path]) -> None:
    open_to_all = load_access(None)
    with pytest.raises(SettingsError, match="refusing to listen"):
        check_listen("0.0.0.0:9797", authenticated=open_to_all.authenticated, insecure_listen=False)
    guarded = load_access(write(bearer_tokens=["t"]))
    check_listen("0.0.0.0:9797", authenticated=guarded.authenticated, insecure_listen=False)

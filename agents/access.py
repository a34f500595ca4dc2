"""Who may talk to a port: TLS, client certificates, basic users, bearer tokens. Ingest and web share it.

`load_access` reads `web_config_file` (`web_config.py`); its middleware answers 401 and 403. Everything that the file
says or names is read again when it changes; what cannot be read then leaves the last good version in force.
The probes `/-/healthy` and `/-/ready` stay open: they say nothing, and who asks has no password.
"""

import base64
import binascii
import hmac
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agents.passwords import Passwords
from agents.settings import SettingsError
from agents.web_config import TlsConfig, WebConfig, load_web_config

log = structlog.get_logger()

_OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
_CHECK_FILES_SECONDS = 1.0
# Where a request says who proved to be its sender.
_CALLER = web.RequestKey("caller", str)
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def create_ssl_context(tls: TlsConfig) -> ssl.SSLContext:
    """TLS for a server.

    A client without a certificate gets through the handshake even where one is required: it is answered 401.

    Raises:
        SettingsError: a file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    apply_tls(context, tls)
    return context


def apply_tls(context: ssl.SSLContext, tls: TlsConfig) -> None:
    """Put the configuration into a context, also one in use: the next handshakes have it. Authorities only add up.

    Raises:
        SettingsError: a file that cannot be used.
    """
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        raise SettingsError(f"{tls.cert_file}, {tls.key_file}: not a certificate with its key: {error}") from error
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except OSError as error:
            raise SettingsError(f"{tls.client_ca_file}: not a certificate authority: {error}") from error
    context.minimum_version = _VERSIONS[tls.min_version]
    context.verify_mode = ssl.CERT_NONE if tls.client_auth_type == "NoClientCert" else ssl.CERT_OPTIONAL


class Access:
    """The rules of one port. Without a file everybody may do everything, which `check_listen` keeps on loopback."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._passwords = Passwords()
        self._config = WebConfig()
        self._seen: list[tuple[Path, int, int]] = []
        self._next_look = 0.0
        self.ssl_context: ssl.SSLContext | None = None
        if path is not None:
            self._config = self._load(path)
            if self._config.tls_server_config is not None:
                self.ssl_context = create_ssl_context(self._config.tls_server_config)
                # Also a port whose certificate has expired, where no request gets through, must see the new one.
                self.ssl_context.sni_callback = lambda *_: self._follow_files()

    @property
    def authenticated(self) -> bool:
        """Whether a caller has to prove who it is."""
        return _is_authenticated(self._config)

    def _load(self, path: Path) -> WebConfig:
        config = load_web_config(path)
        self._seen = [_look(file) for file in (path, *config.files(path.parent))]
        return config.with_secrets(path.parent)

    def _follow_files(self) -> None:
        now = self._clock()
        if self._path is None or now < self._next_look:
            return
        self._next_look = now + _CHECK_FILES_SECONDS
        seen = [_look(file) for file, *_ in self._seen]
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._take(self._load(self._path))
        except SettingsError as error:
            log.warning("changed web configuration refused, the last good one stays", reason=str(error))
        else:
            log.info("web configuration read again", file=str(self._path))

    def _take(self, config: WebConfig) -> None:
        if self.authenticated and not _is_authenticated(config):
            raise SettingsError(f"{self._path}: leaves nobody to prove who it is: needs a restart")
        if (config.tls_server_config is None) != (self.ssl_context is None):
            raise SettingsError(f"{self._path}: tls_server_config: switching TLS on or off needs a restart")
        if self.ssl_context is not None and config.tls_server_config is not None:
            apply_tls(self.ssl_context, config.tls_server_config)
        self._config = config

    async def why_refused(self, request: web.Request) -> web.Response | None:
        """The answer for a caller that may not; None = it may."""
        self._follow_files()
        refused = self._refuse_certificate(request)
        config = self._config
        if refused is not None or not (config.basic_auth_users or config.bearer_tokens):
            return refused
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(credentials.strip()):
            return None
        if scheme.lower() == "basic" and config.basic_auth_users:
            user = await self._find_user(credentials.strip())
            if user is not None:
                request[_CALLER] = user
                return None
        return _unauthorized(config)

    def _refuse_certificate(self, request: web.Request) -> web.Response | None:
        tls = self._config.tls_server_config
        if tls is None or tls.client_auth_type == "NoClientCert":
            return None
        certificate = request.get_extra_info("peercert")
        if not certificate:
            if not _needs_certificate(tls):
                return None
            return web.Response(status=401, text="a client certificate is required\n")
        names = {value for _, value in certificate.get("subjectAltName", ())}
        if tls.client_allowed_sans and names.isdisjoint(tls.client_allowed_sans):
            return web.Response(status=403, text="the client certificate has none of the names allowed here\n")
        return None

    def _is_token(self, token: str) -> bool:
        # Every token is compared, whichever it is: time tells nothing.
        given = token.encode(errors="surrogateescape")
        return sum(hmac.compare_digest(given, known.encode()) for known in self._config.bearer_tokens) > 0

    async def _find_user(self, credentials: str) -> str | None:
        try:
            name, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
            user = name.decode()
        except (binascii.Error, ValueError):
            return None
        is_right = bool(colon) and await self._passwords.is_right(self._config.basic_auth_users, user, password)
        return user if is_right else None

    def middleware(self) -> Middleware:
        """The middleware to give to `web.Application(middlewares=[…])`."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in _OPEN_PATHS:
                refused = await self.why_refused(request)
                if refused is not None:
                    return refused
            return await handler(request)

        return check


def _needs_certificate(tls: TlsConfig | None) -> bool:
    return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"


def _is_authenticated(config: WebConfig) -> bool:
    return bool(config.basic_auth_users or config.bearer_tokens) or _needs_certificate(config.tls_server_config)


def _look(file: Path) -> tuple[Path, int, int]:
    try:
        status = file.stat()
    except OSError:
        return file, 0, 0
    return file, status.st_mtime_ns, status.st_ino


def _unauthorized(config: WebConfig) -> web.Response:
    challenges = ['Basic realm="driftline", charset="UTF-8"'] if config.basic_auth_users else []
    if config.bearer_tokens:
        challenges.append('Bearer realm="driftline"')
    return web.Response(
        status=401,
        text="a valid user and password or bearer token is required\n",
        headers={"WWW-Authenticate": ", ".join(challenges)},
    )


def caller_of(request: web.Request) -> str:
    """Who asks, for records of who did what: a user who proved to be one, otherwise just "api"."""
    return str(request.get(_CALLER, "api"))


def load_access(path: Path | None) -> Access:
    """The rules of `web_config_file`; None = nobody is asked.

    Raises:
        SettingsError: file, key and what was expected.
    """
    return Access(path)

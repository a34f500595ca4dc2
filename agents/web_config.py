"""`web_config_file`: who may talk to a port of ours, in the shape of Prometheus' own file, and a few keys more.

Read from a file and from the files that it names (relative to it). Nothing is enforced here: that is `access.py`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from agents.settings import SettingsError

_BCRYPT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]


def _check_hash(text: str) -> str:
    if not _BCRYPT.fullmatch(text.strip()):
        raise ValueError("expected a bcrypt hash such as $2y$10$… (htpasswd -nBC 10 NAME)")
    return text.strip()


BcryptHash = Annotated[str, AfterValidator(_check_hash)]


class _Section(BaseModel):
    # An error that showed its input would show a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TlsConfig(_Section):
    """TLS of the port.

    client_allowed_sans: subject alternative names, one of which a client's certificate must have; empty = any.
    """

    cert_file: Path
    key_file: Path
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca_file: Path | None = None
    client_allowed_sans: list[str] = []
    min_version: Literal["TLS12", "TLS13"] = "TLS12"


class WebConfig(_Section):
    """The file. `…_files` hold the same secrets, to be mounted one by one and changed while we run.

    basic_auth_users: name -> bcrypt hash. basic_auth_user_files: name -> file with one hash.
    bearer_tokens: all of them are valid, so that they can be rotated. bearer_token_files: one token a line.
    """

    tls_server_config: TlsConfig | None = None
    basic_auth_users: dict[str, BcryptHash] = {}
    basic_auth_user_files: dict[str, Path] = {}
    bearer_tokens: list[str] = []
    bearer_token_files: list[Path] = []

    def with_secrets(self, directory: Path) -> "WebConfig":
        """The same with every file found from `directory` and every secret read.

        Raises:
            SettingsError: a file cannot be read, or holds something else.
        """
        users = dict(self.basic_auth_users)
        for name, file in self.basic_auth_user_files.items():
            try:
                users[name] = _check_hash(_read(directory / file))
            except ValueError as error:
                raise SettingsError(f"{directory / file}: basic_auth_user_files.{name}: {error}") from error
        tokens = [token for token in self.bearer_tokens if token]
        for file in self.bearer_token_files:
            lines = _read(directory / file).split()
            if not lines:
                raise SettingsError(f"{directory / file}: bearer_token_files: expected one token a line, it is empty")
            tokens += lines
        tls = self.tls_server_config
        if tls is not None:
            tls = tls.model_copy(
                update={
                    "cert_file": directory / tls.cert_file,
                    "key_file": directory / tls.key_file,
                    "client_ca_file": directory / tls.client_ca_file if tls.client_ca_file else None,
                }
            )
        return self.model_copy(
            update={"tls_server_config": tls, "basic_auth_users": users, "bearer_tokens": tokens},
        )

    def files(self, directory: Path) -> list[Path]:
        """Every file that it names."""
        tls = self.tls_server_config
        named = [*self.basic_auth_user_files.values(), *self.bearer_token_files]
        if tls is not None:
            named += [tls.cert_file, tls.key_file, *([tls.client_ca_file] if tls.client_ca_file else [])]
        return [directory / file for file in named]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error


def load_web_config(path: Path) -> WebConfig:
    """The file as it stands; its secrets are still to be read (`with_secrets`).

    Raises:
        SettingsError: file, key and what was expected.
    """
    try:
        document = yaml.safe_load(_read(path))
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the line, which may hold a secret.
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SettingsError(f"{path}: line {line}: {error.problem or 'not YAML'}") from None
    try:
        config = WebConfig.model_validate({} if document is None else document)
    except ValidationError as error:
        lines = (
            f"{path}: {'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False)
        )
        raise SettingsError("\n".join(lines)) from None
    tls = config.tls_server_config
    if tls is not None and tls.client_auth_type != "NoClientCert" and tls.client_ca_file is None:
        raise SettingsError(f"{path}: tls_server_config.client_ca_file: needed by {tls.client_auth_type}")
    if tls is not None and tls.client_auth_type == "NoClientCert" and (tls.client_ca_file or tls.client_allowed_sans):
        raise SettingsError(f"{path}: tls_server_config.client_auth_type: NoClientCert asks for no certificate")
    return config

"""A text that must not be shown: given in the settings, or in a file that is read again when it changes.

Kubernetes replaces mounted secrets without a restart. A file that becomes unreadable or wrong leaves the last good
text in force: a rotation that went wrong must not silence the alerts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from agents.settings import SettingsError

log = structlog.get_logger()

T = TypeVar("T")


class SecretText(Generic[T]):
    """What a text says, parsed; its representation shows nothing."""

    def __init__(self, key: str, text: str, file: Path | None, parse: Callable[[str], T]) -> None:
        """Read it for the first time.

        Args:
            key: what it is called in the settings, for errors.
            text: from the settings, used if there is no file.
            parse: raises ValueError with a text that does not repeat its argument.

        Raises:
            SettingsError: the file cannot be read, or the text is wrong.
        """
        self._key = key
        self._file = file
        self._parse = parse
        self._seen = self._mark()
        try:
            self._value = parse(text if file is None else file.read_text(encoding="utf-8").strip())
        except (OSError, ValueError) as error:
            raise SettingsError(f"{key}: {self._explain(error)}") from None

    def __repr__(self) -> str:
        return f"<{self._key}: hidden>"

    def value(self) -> T:
        """The latest good value."""
        mark = self._mark()
        if mark is not None and mark != self._seen and self._file is not None:
            self._seen = mark
            try:
                self._value = self._parse(self._file.read_text(encoding="utf-8").strip())
            except (OSError, ValueError) as error:
                # The error's own text may hold what the file says.
                reason = self._explain(error)
                log.warning("a changed file is not used, the last good one stays", key=self._key, reason=reason)
        return self._value

    def _mark(self) -> tuple[int, int, int] | None:
        """Changes when the file does; None = no file, or it is away."""
        if self._file is None:
            return None
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _explain(self, error: OSError | ValueError) -> str:
        if isinstance(error, OSError):
            return f"{self._file}: {error.strerror}"
        if isinstance(error, UnicodeDecodeError):  # its text repeats the bytes
            return f"{self._file}: not UTF-8"
        return str(error)

"""Files that people name on the command line."""

from pathlib import Path

from agents.settings import SettingsError


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8 text") from None

"""Holidays of a budget: a file of dates, one a line, with a name behind it if one likes.

    # Berlin
    2026-12-25 Christmas Day
    2026-12-26

The file is read by whoever holds budget files: its text comes in here.
"""

from collections.abc import Callable
from datetime import date

# From the path as the budget file has it to the text. Raises ValueError with what is wrong with the file.
ReadText = Callable[[str], str]


def refuse_files(path: str) -> str:
    """Where budgets are text without a place, there is nothing that a path could be relative to."""
    raise ValueError(f"{path} cannot be read here")


def parse_holidays(text: str, path: str) -> tuple[str, ...]:
    """The dates of a file, sorted, each once.

    Raises:
        ValueError: the first line that is no date; path: named in it.

    >>> parse_holidays("2026-12-25  Christmas Day", "berlin.txt")
    ('2026-12-25',)
    """
    found = set()
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            found.add(_date(words[0], f"{path}:{number}"))
    return tuple(sorted(found))


def _date(word: str, place: str) -> str:
    expected = f"{place}: expected a date such as 2026-12-25 and perhaps a name, got {word!r}"
    try:
        day = date.fromisoformat(word)
    except ValueError as error:
        raise ValueError(expected) from error
    if word != day.isoformat():
        raise ValueError(expected)
    return word

"""What is wrong with a budget file, said so that it can be mended at once: file, line, key, what was expected."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong.

    line: 1-based. path: the key, `service.response_time.p95.budget_ms`; empty = the file itself.
    """

    filename: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        place = f"{self.filename}:{self.line}: "
        return place + (f"{self.path}: {self.text}" if self.path else self.text)


class BudgetError(Exception):
    """A budget file that cannot be used: every mistake in it, one a line, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.filename, mistake.line)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class Mistakes:
    """Collects what is wrong with one file, so that all of it is said together; the first thing of each key.

    A key of a service is read again for each of its indicators, and one word about it is enough.
    """

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._found: dict[tuple[int, str], Mistake] = {}

    def add(self, line: int, path: str, text: str) -> None:
        """Note one."""
        self._found.setdefault((line, path), Mistake(self._filename, line, path, text))

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self) -> None:
        """Stop here if there are any.

        Raises:
            BudgetError: all of them.
        """
        if self._found:
            raise BudgetError(self._found.values())


def describe_unknown(key: str, known: Iterable[str]) -> str:
    """What to say of a key that nothing reads.

    >>> describe_unknown("bugdet_ms", ["budget_ms", "for"])
    'unknown key, did you mean budget_ms?'
    >>> describe_unknown("colour", ["budget_ms", "for"])
    'unknown key, expected one of budget_ms, for'
    """
    names = sorted(known)
    close = difflib.get_close_matches(key.lower(), names, n=1)
    return f"unknown key, did you mean {close[0]}?" if close else f"unknown key, expected one of {', '.join(names)}"

"""What a rule file says, and what became of its rules."""

from collections.abc import Mapping
from dataclasses import dataclass


def one_line(text: str) -> str:
    r"""A text as one printable line, whatever a name may hold.

    >>> one_line("a\nb  \x1bc")
    'a b \ufffdc'
    """
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    name: of the alert or of the recorded series. line: where it begins in its file. labels: with those of its group.
    unread: keys of it or of its group that mean something to Prometheus and nothing here.
    """

    filename: str
    line: int
    name: str
    is_alert: bool
    expr: str
    for_ms: int
    keep_firing_for_ms: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a rule that a person must know: it was not taken, or not exactly."""

    rule: Rule
    text: str
    was_taken: bool = False

    def __str__(self) -> str:
        return one_line(f"{self.rule.filename}:{self.rule.line}: {self.rule.name}: {self.text}")


class NotTakenError(Exception):
    """A rule cannot become an indicator; the text says why."""

"""The text of a file as a tree that remembers where everything stands: line and key of each value.

The parsers of JSON and YAML (`json_document.py`, `yaml_document.py`) both end here, so what follows does not know
which of the two a file is written in. Nothing about budgets belongs here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"


class DocumentError(Exception):
    """Not JSON or YAML at all. line: 1-based, where reading ended."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        super().__init__(text)


@dataclass(slots=True)
class Node:
    """One value and the key that it stands under.

    value: a scalar, a list of nodes, or a mapping of nodes. line: where its key stands, 1-based.
    path: keys from the root, joined by dots. repeated: entries whose key stood there before; the first one counts.
    is_flawed: an entry was dropped because it was wrong.
    """

    value: "Scalar | list[Node] | dict[str, Node]"
    line: int
    path: str = ""
    repeated: "list[Node]" = field(default_factory=list)
    is_flawed: bool = False

    @property
    def entries(self) -> "dict[str, Node]":
        """The entries of a mapping; nothing for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return kind_of(self.value)

    def drop(self, key: str) -> None:
        """Take a wrong entry out of a mapping."""
        del self.entries[key]
        self.is_flawed = True

    def plain(self) -> Plain:
        """Without the places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def walk(self) -> Iterator["Node"]:
        """This node and everything below, in the order of the file."""
        yield self
        if isinstance(self.value, dict):
            for child in self.value.values():
                yield from child.walk()
        elif isinstance(self.value, list):
            for child in self.value:
                yield from child.walk()


def kind_of(value: object) -> str:
    """What a value is, in words of JSON and YAML.

    >>> kind_of({}), kind_of(True), kind_of("a")
    ('a mapping', 'true', "the text 'a'")
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"the text {value!r}" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def join_path(parent: str, key: str) -> str:
    """The path of a key below `parent`."""
    return f"{parent}.{key}" if parent else key

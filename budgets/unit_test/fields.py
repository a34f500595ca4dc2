"""The keys of one mapping of a test file: each read with what it must be, and noted where it is something else."""

from collections.abc import Collection

from budgets.spec.document import Node
from budgets.spec.errors import Mistakes, describe_unknown
from budgets.spec.values import parse_duration_ms
from budgets.unit_test.model import Place


class Fields:
    """Reads one mapping."""

    def __init__(self, node: Node, mistakes: Mistakes) -> None:
        self.node = node
        self._mistakes = mistakes
        if not isinstance(node.value, dict):
            mistakes.add(node.line, node.path, f"expected a mapping, got {node.kind}")

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.node.line, self.node.path)

    def note(self, key: str, text: str) -> None:
        """Note a mistake at a key, or where it is missing."""
        node = self.node.entries.get(key)
        path = f"{self.node.path}.{key}" if self.node.path else key
        self._mistakes.add(node.line if node else self.node.line, node.path if node else path, text)

    def check_keys(self, known: Collection[str]) -> None:
        """Note what nothing reads."""
        for key, node in self.node.entries.items():
            if key not in known:
                self._mistakes.add(node.line, node.path, describe_unknown(key, known))

    def get(self, key: str) -> Node | None:
        """The entry; None = not given, or without a value."""
        node = self.node.entries.get(key)
        return None if node is None or node.value is None else node

    def text(self, key: str) -> str | None:
        """A text; a number is one, too, as in promtool."""
        node = self.get(key)
        if node is None:
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, str | int | float):
            self.note(key, f"expected a text, got {node.kind}")
            return None
        return node.value if isinstance(node.value, str) else repr(node.value)

    def needed_text(self, key: str) -> str | None:
        """A text that must be there."""
        if isinstance(self.node.value, dict) and self.get(key) is None:
            self.note(key, "missing, expected a text")
        return self.text(key)

    def duration(self, key: str, default_ms: int) -> int:
        """A duration."""
        text = self.text(key)
        if text is None:
            return default_ms
        found = parse_duration_ms(text)
        if found is None:
            self.note(key, f"expected a duration such as 30s, 5m or 1h30m, got {text!r}")
        return default_ms if found is None else found

    def flag(self, key: str) -> bool:
        """True or false."""
        node = self.get(key)
        if node is not None and not isinstance(node.value, bool):
            self.note(key, f"expected true or false, got {node.kind}")
        return node is not None and node.value is True

    def items(self, key: str) -> list[Node]:
        """The entries of a list."""
        node = self.get(key)
        if node is None:
            return []
        if not isinstance(node.value, list):
            self.note(key, f"expected a list, got {node.kind}")
            return []
        return node.value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = []
        for node in self.items(key):
            if isinstance(node.value, str) and node.value:
                found.append(node.value)
            else:
                self._mistakes.add(node.line, node.path, f"expected a text, got {node.kind}")
        return tuple(found)

"""YAML with places: PyYAML's own nodes, turned into ours. No tags, no objects, no dates: what JSON can say.

Two readings differ from PyYAML's YAML 1.1, because they surprise in budgets: `1e3` is a number, and `1:30` is text
instead of ninety.
"""

import math
import re

import yaml

from budgets.spec.document import DocumentError, Node, Scalar, join_path

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))
# PyYAML resolves more to these; plain scalars are read again here.
_RESOLVED = frozenset(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "merge"))
_MERGE = "tag:yaml.org,2002:merge"
MAX_NODES = 100_000


def read_yaml(text: str) -> Node:
    """The tree of a YAML document; an empty one is a node without value.

    Raises:
        DocumentError: not YAML, more than one document, or beyond what JSON can say.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        column = f" at column {mark.column + 1}" if mark else ""
        what = ", ".join(text for text in (error.context, error.problem) if text)
        raise DocumentError(line, f"not YAML: {what}{column}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError(1, f"not YAML: {error}") from error
    return _Reader().convert(root, "", 1) if root is not None else Node(None, 1)


class _Reader:
    """Turns one document's nodes into ours; counts them, so that aliases of aliases cannot grow without bound."""

    def __init__(self) -> None:
        self._count = 0
        self._above: set[int] = set()

    def convert(self, node: yaml.Node, path: str, line: int) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            raise DocumentError(line, f"not usable YAML: aliases make more than {MAX_NODES} values of it")
        if id(node) in self._above:
            raise DocumentError(line, "not usable YAML: an alias stands inside of what it names")
        if node.tag not in _TAGS | _RESOLVED:
            raise DocumentError(node.start_mark.line + 1, f"not usable YAML: the tag {node.tag} is not known here")
        if isinstance(node, yaml.ScalarNode):
            return Node(_scalar(node), line, path)
        self._above.add(id(node))
        try:
            return self._collection(node, path, line)
        finally:
            self._above.discard(id(node))

    def _collection(self, node: yaml.Node, path: str, line: int) -> Node:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, line)
        assert isinstance(node, yaml.SequenceNode)
        items = [
            self.convert(item, f"{path}[{index}]", item.start_mark.line + 1) for index, item in enumerate(node.value)
        ]
        return Node(items, line, path)

    def _mapping(self, node: yaml.MappingNode, path: str, line: int) -> Node:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        found = Node(entries, line, path)
        for key, value in node.value:
            key_line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentError(key_line, "not usable YAML: expected a text as key")
            if key.tag == _MERGE:
                for name, child in self._merged(value, path, key_line).items():
                    merged.setdefault(name, child)
                continue
            child = self.convert(value, join_path(path, key.value), key_line)
            if key.value in entries:
                found.repeated.append(child)
            else:
                entries[key.value] = child
        found.value = merged | entries
        return found

    def _merged(self, node: yaml.Node, path: str, line: int) -> dict[str, Node]:
        """What `<<` brings: the entries of a mapping, or of several, the first one first."""
        found = self.convert(node, path, line)
        sources = found.value if isinstance(found.value, list) else [found]
        entries: dict[str, Node] = {}
        for source in sources:
            if not isinstance(source.value, dict):
                raise DocumentError(line, f"not usable YAML: << expects a mapping, got {source.kind}")
            entries = source.value | entries
        return entries


def _scalar(node: yaml.ScalarNode) -> Scalar:
    text = str(node.value)
    # PyYAML takes 1e3 for a text; what is quoted is one.
    if node.style is not None or (node.tag == "tag:yaml.org,2002:str" and not _FLOAT.fullmatch(text)):
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if not _FLOAT.fullmatch(text) or not math.isfinite(float(text)):
        return text
    return int(text) if _INT.fullmatch(text) else float(text)

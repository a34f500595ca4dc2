"""JSON with places. The standard library's parser tells no lines, and keeps the last of two equal keys silently.

Strings, numbers and literals are read by the standard library; only objects and arrays are walked here.
"""

import json
import math
import re
from typing import Never

from budgets.spec.document import DocumentError, Node, Scalar, join_path

_SPACE = re.compile(r"[ \t\n\r]*")
MAX_DEPTH = 50


def read_json(text: str) -> Node:
    """The tree of a JSON document.

    Raises:
        DocumentError: not JSON; says what and in which column.
    """
    reader = _Reader(text)
    root, end = reader.value(reader.skip(0), "", None, 0)
    if reader.skip(end) < len(text):
        reader.refuse("nothing more after the document", reader.skip(end))
    return root


def _is_finite(value: object) -> bool:
    """Whether a number, if it is one, fits into a float."""
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:
        return False


def _no_constant(name: str) -> Never:
    raise ValueError(name)


class _Reader:
    """Reads one text; every method takes a position and returns what it read and where that ended."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)

    def refuse(self, expected: str, at: int) -> Never:
        line = self._text.count("\n", 0, at) + 1
        column = at - self._text.rfind("\n", 0, at)
        found = repr(self._text[at]) if at < len(self._text) else "the end of the file"
        raise DocumentError(line, f"not JSON: expected {expected} at column {column}, got {found}")

    def skip(self, at: int) -> int:
        space = _SPACE.match(self._text, at)
        return space.end() if space else at

    def line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def value(self, at: int, path: str, line: int | None, depth: int) -> tuple[Node, int]:
        """A value; its line is that of its key where it has one."""
        line = self.line(at) if line is None else line
        if depth > MAX_DEPTH:
            self.refuse(f"at most {MAX_DEPTH} levels", at)
        sign = self._text[at : at + 1]
        if sign == "{":
            return self._object(at + 1, Node({}, line, path), depth)
        if sign == "[":
            return self._array(at + 1, line, path, depth)
        scalar, end = self._scalar(at)
        return Node(scalar, line, path), end

    def _scalar(self, at: int) -> tuple[Scalar, int]:
        try:
            scalar, end = self._decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            if self._text[at : at + 1] == '"':
                self.refuse("a complete text in double quotes", error.pos)
            self.refuse("a value", at)
        except ValueError:
            self.refuse("a finite number", at)
        if not _is_finite(scalar):
            self.refuse("a finite number", at)
        assert scalar is None or isinstance(scalar, str | int | float | bool)
        return scalar, end

    def _object(self, at: int, node: Node, depth: int) -> tuple[Node, int]:
        entries: dict[str, Node] = {}
        node.value = entries
        at = self.skip(at)
        if self._text[at : at + 1] == "}":
            return node, at + 1
        while True:
            at = self.skip(at)
            if self._text[at : at + 1] != '"':
                self.refuse("a key in double quotes" + (" (one comma too many?)" if entries else ""), at)
            key, end = self._scalar(at)
            line = self.line(at)
            at = self._expect(":", end)
            child, end = self.value(self.skip(at), join_path(node.path, str(key)), line, depth + 1)
            if str(key) in entries:
                node.repeated.append(child)
            else:
                entries[str(key)] = child
            end = self.skip(end)
            if self._text[end : end + 1] == "}":
                return node, end + 1
            at = self._expect(",", end)

    def _array(self, at: int, line: int, path: str, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        at = self.skip(at)
        if self._text[at : at + 1] == "]":
            return Node(items, line, path), at + 1
        while True:
            item, end = self.value(self.skip(at), f"{path}[{len(items)}]", None, depth + 1)
            items.append(item)
            end = self.skip(end)
            if self._text[end : end + 1] == "]":
                return Node(items, line, path), end + 1
            at = self._expect(",", end)

    def _expect(self, sign: str, at: int) -> int:
        at = self.skip(at)
        if self._text[at : at + 1] != sign:
            closing = "':'" if sign == ":" else "',' or the end of the object or list"
            self.refuse(closing, at)
        return at + 1

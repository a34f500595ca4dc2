"""Which mapping of a file is which indicator: services, well-known names, percentiles, indicators of the file's own.

An indicator may stand in place or under `indicators`, its options at three levels. What leaves here is, for each
indicator, its keys with the inner ones winning, each still knowing where it stands. Values are not looked at.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from budgets.spec.document import Node
from budgets.spec.errors import Mistakes, describe_unknown
from budgets.spec.file_model import CUSTOM_LIMIT, KEYS_OF, CustomKeys, IndicatorKeys, OptionKeys, keys_of
from budgets.spec.indicators import WELL_KNOWN, quantile_of

_OPTIONS = frozenset(keys_of(OptionKeys))
_SHARED = frozenset(keys_of(IndicatorKeys))
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_INDICATOR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_PERCENTILE_LIKE = re.compile(r"p\d+")
_RESPONSE_TIME = "response_time"


@dataclass(frozen=True, slots=True)
class Place:
    """One indicator of a file.

    name: as in its id. well_known: the name of its defaults, None = of the file's own. percentile: `p95`, or empty.
    keys: everything that holds for it, the inner level winning. own: the keys that stand at the indicator itself or
    at its percentile, not at the service. node: where it stands.
    """

    service: str
    name: str
    well_known: str | None
    percentile: str
    keys: Mapping[str, Node]
    own: frozenset[str]
    node: Node

    @property
    def is_flawed(self) -> bool:
        """Whether something of it was left out because it was wrong: what is missing then needs no second mistake."""
        return self.node.is_flawed

    @property
    def model(self) -> type[IndicatorKeys]:
        """The class of its keys."""
        return KEYS_OF[self.well_known] if self.well_known else CustomKeys

    def line_of(self, key: str) -> tuple[int, str]:
        """Where a key stands, or where it should: line and path."""
        if key in self.keys:
            return self.keys[key].line, self.keys[key].path
        return self.node.line, f"{self.node.path}.{key}"


def find_services(root: Node, mistakes: Mistakes) -> dict[str, list[Place]]:
    """Every service of a file with its indicators."""
    _note_gaps(root, mistakes)
    if not isinstance(root.value, dict):
        expected = "expected a mapping of services such as {auth-service: {throughput: {min_rps: 1000}}}"
        mistakes.add(root.line, root.path, f"{expected}, got {root.kind}")
        return {}
    if not root.value and not len(mistakes):
        mistakes.add(root.line, root.path, "no service, expected at least one")
    services = {}
    for name, node in root.entries.items():
        if not _SERVICE_NAME.fullmatch(name):
            text = "expected a service name of letters, digits, '.', '_' and '-', 200 at most"
            mistakes.add(node.line, node.path, text)
        elif not isinstance(node.value, dict):
            mistakes.add(node.line, node.path, f"expected a mapping of indicators, got {node.kind}")
        else:
            services[name] = list(_Service(name, node, mistakes).places())
    return services


def _names(expr: str) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", expr))


def _note_gaps(root: Node, mistakes: Mistakes) -> None:
    """Keys that stand twice, and keys without a value; the latter go, so that nothing else is said about them."""
    for node in list(root.walk()):
        for repeated in node.repeated:
            first = node.entries[repeated.path.removeprefix(f"{node.path}.") if node.path else repeated.path]
            mistakes.add(repeated.line, repeated.path, f"the key stands twice, first in line {first.line}")
        for key, child in list(node.entries.items()):
            if child.value is None:
                mistakes.add(child.line, child.path, "no value; give one, or leave the key out")
                node.drop(key)


class _Service:
    """Finds the indicators of one service."""

    def __init__(self, name: str, node: Node, mistakes: Mistakes) -> None:
        self._name = name
        self._node = node
        self._mistakes = mistakes
        self._options = {key: child for key, child in node.entries.items() if key in _OPTIONS}

    def _note(self, node: Node, text: str) -> None:
        self._mistakes.add(node.line, node.path, text)

    def places(self) -> Iterator[Place]:
        """Every indicator, in the order of the file."""
        before = len(self._mistakes)
        indicators = self._collect()
        if not indicators and not self._node.is_flawed and len(self._mistakes) == before:
            self._note(self._node, f"no indicator, expected one such as {', '.join(list(WELL_KNOWN)[:3])}")
        for name, node in indicators.items():
            if name == _RESPONSE_TIME:
                yield from self._percentiles(node)
            else:
                well_known = name if name in WELL_KNOWN else None
                self._check_keys(node, set(keys_of(KEYS_OF.get(name, CustomKeys))), custom=well_known is None)
                yield self._place(name, well_known, "", [node])

    def _collect(self) -> dict[str, Node]:
        """Indicators by name, those in place and those under `indicators` put together."""
        found: dict[str, Node] = {}
        for key, node in self._node.entries.items():
            if key == "indicators":
                self._collect_listed(node, found)
            elif key not in _OPTIONS and self._is_indicator(key, node):
                self._add(found, key, node)
        return found

    def _collect_listed(self, listing: Node, found: dict[str, Node]) -> None:
        if not isinstance(listing.value, dict):
            self._note(listing, f"expected a mapping of indicators, got {listing.kind}")
        for key, node in listing.entries.items():
            if not isinstance(node.value, dict):
                self._note(node, f"expected a mapping with expr, unit and a limit, got {node.kind}")
            elif not _INDICATOR_NAME.fullmatch(key):
                self._note(node, "expected an indicator name of letters, digits and '_'")
            else:
                self._add(found, key, node)

    def _is_indicator(self, key: str, node: Node) -> bool:
        if key in WELL_KNOWN or self._percentile_of(key):
            if not isinstance(node.value, dict):
                self._note(node, f"expected a mapping, got {node.kind}")
            return isinstance(node.value, dict)
        if isinstance(node.value, dict) and "expr" in node.value:
            if not _INDICATOR_NAME.fullmatch(key):
                self._note(node, "expected an indicator name of letters, digits and '_'")
                return False
            return True
        what = describe_unknown(key, [*_OPTIONS, *WELL_KNOWN, "indicators"])
        if isinstance(node.value, dict) and "did you mean" not in what:
            what = f"unknown indicator, expected expr, unit and a limit in it, or one of {', '.join(WELL_KNOWN)}"
        self._note(node, what)
        return False

    @staticmethod
    def _percentile_of(name: str) -> str:
        """`response_time_p95` is another way to write `response_time: {p95: …}`."""
        percentile = name.removeprefix(_RESPONSE_TIME + "_")
        return percentile if percentile != name and quantile_of(percentile) else ""

    def _add(self, found: dict[str, Node], name: str, node: Node) -> None:
        if percentile := self._percentile_of(name):
            name, node = _RESPONSE_TIME, Node({percentile: node}, node.line, node.path.removesuffix(f"_{percentile}"))
        found[name] = self._merge(found[name], node) if name in found else node

    def _merge(self, first: Node, second: Node) -> Node:
        """Both mappings as one; a key that both give is a contradiction."""
        entries = dict(first.entries)
        for key, node in second.entries.items():
            if key not in entries:
                entries[key] = node
            elif isinstance(entries[key].value, dict) and isinstance(node.value, dict):
                entries[key] = self._merge(entries[key], node)
            else:
                self._note(node, f"given twice, also as {entries[key].path} in line {entries[key].line}")
        return Node(entries, first.line, first.path, is_flawed=first.is_flawed or second.is_flawed)

    def _percentiles(self, node: Node) -> Iterator[Place]:
        before = len(self._mistakes)
        found: dict[str, Node] = {}
        for key, child in node.entries.items():
            if quantile_of(key):
                if isinstance(child.value, dict):
                    found[key] = child
                else:
                    self._note(child, f"expected a mapping such as {{budget_ms: 200}}, got {child.kind}")
            elif _PERCENTILE_LIKE.fullmatch(key):
                self._note(child, "expected a percentile such as p50, p95, p99 or p999")
            elif key == "budget_ms":
                self._note(child, "expected under a percentile such as p95")
            elif key not in _SHARED:
                self._note(child, describe_unknown(key, [*_SHARED, "p50", "p95", "p99"]))
        if not found and not node.is_flawed and len(self._mistakes) == before:
            self._note(node, "no percentile, expected one such as p95: {budget_ms: 200}")
        self._check_shared_expr(node, found)
        shared = Node({key: child for key, child in node.entries.items() if key in _SHARED}, node.line, node.path)
        for percentile, child in found.items():
            self._check_keys(child, set(keys_of(KEYS_OF[_RESPONSE_TIME])), custom=False)
            yield self._place(f"{_RESPONSE_TIME}_{percentile}", _RESPONSE_TIME, percentile, [shared, child])

    def _check_shared_expr(self, node: Node, percentiles: dict[str, Node]) -> None:
        """One expression for several percentiles must ask which of them it is computed for."""
        sharing = [percentile for percentile, child in percentiles.items() if "expr" not in child.entries]
        expr = node.entries.get("expr")
        if (
            expr is not None
            and len(sharing) > 1
            and isinstance(expr.value, str)
            and "quantile" not in _names(expr.value)
        ):
            text = (
                f"{' and '.join(sharing)} would all have the same value, expected $quantile in it instead of a number"
            )
            self._note(expr, text)

    def _check_keys(self, node: Node, known: set[str], *, custom: bool) -> None:
        for key, child in list(node.entries.items()):
            if key not in known and not (custom and CUSTOM_LIMIT.fullmatch(key)):
                names = known | ({"max_…", "min_…"} if custom else set())
                self._note(child, describe_unknown(key, names))
                node.drop(key)

    def _place(self, name: str, well_known: str | None, percentile: str, levels: list[Node]) -> Place:
        """The indicator of the innermost of `levels`, outer ones first."""
        keys = dict(self._options)
        for level in levels:
            inner = dict(level.entries)
            outer_labels, labels = keys.get("labels"), inner.get("labels")
            if outer_labels and labels and isinstance(outer_labels.value, dict) and isinstance(labels.value, dict):
                inner["labels"] = Node(outer_labels.value | labels.value, labels.line, labels.path)
            keys |= inner
        own = frozenset(key for level in levels for key in level.entries)
        return Place(self._name, name, well_known, percentile, keys, own, levels[-1])

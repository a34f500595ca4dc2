"""From the text of a rule file to its rules: `groups` as Prometheus has them, a PrometheusRule, or a bare list.

Only what makes a rule unreadable is a mistake. What a budget cannot say is `convert.py`'s question.
"""

from collections.abc import Iterable, Iterator

from budgets.rule_file.model import Rule
from budgets.spec.document import Node
from budgets.spec.errors import Mistakes
from budgets.spec.load import read_document
from budgets.spec.values import parse_duration_ms

_READ = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
# These two change nothing that a budget says: it is evaluated at every step.
_GROUP_READ = frozenset({"name", "interval", "rules", "labels"})


def load_rules(text: str, filename: str) -> list[Rule]:
    """The rules of a file, in its order.

    Raises:
        BudgetError: everything that makes it no rule file.
    """
    mistakes = Mistakes(filename)
    root = read_document(text, filename)
    rules = list(_Reader(filename, mistakes).rules(root))
    mistakes.raise_any()
    return rules


def series_made_by(rules: Iterable[Rule]) -> set[str]:
    """The metric names of what rules write: recorded series, and what alerts say of themselves."""
    names: set[str] = set()
    for rule in rules:
        names |= {"ALERTS", "ALERTS_FOR_STATE"} if rule.is_alert else {rule.name}
    return names


class _Reader:
    """Reads rules, and notes what is none."""

    def __init__(self, filename: str, mistakes: Mistakes) -> None:
        self._filename = filename
        self._mistakes = mistakes

    def rules(self, root: Node) -> Iterator[Rule]:
        """Those of a whole document."""
        spec = root.entries.get("spec")
        if spec is not None and "groups" in spec.entries:
            root = spec
        if isinstance(root.value, list):
            yield from self._rules_of(root, Node({}, root.line))
        elif "groups" not in root.entries:
            self._mistakes.add(root.line, root.path, f"expected groups of rules, got {root.kind}")
        else:
            for group in self._list(root.entries["groups"]):
                rules = group.entries.get("rules")
                if rules is None:
                    self._mistakes.add(group.line, group.path, "no rules, expected a list of them")
                else:
                    yield from self._rules_of(rules, group)

    def _list(self, node: Node) -> list[Node]:
        if not isinstance(node.value, list):
            self._mistakes.add(node.line, node.path, f"expected a list, got {node.kind}")
            return []
        return node.value

    def _rules_of(self, rules: Node, group: Node) -> Iterator[Rule]:
        labels = self._texts(group, "labels")
        unread = [f"{key} of the group" for key in group.entries if key not in _GROUP_READ]
        for node in self._list(rules):
            kinds = [key for key in ("alert", "record") if key in node.entries]
            if len(kinds) != 1:
                self._mistakes.add(node.line, node.path, "expected a rule with alert or record")
                continue
            name, expr = (self._text(node, key) for key in (kinds[0], "expr"))
            if name is None or expr is None:
                continue
            yield Rule(
                filename=self._filename,
                line=node.line,
                name=name,
                is_alert=kinds[0] == "alert",
                expr=expr,
                for_ms=self._duration(node, "for"),
                keep_firing_for_ms=self._duration(node, "keep_firing_for"),
                labels=labels | self._texts(node, "labels"),
                annotations=self._texts(node, "annotations"),
                unread=(*[key for key in node.entries if key not in _READ], *unread),
            )

    def _text(self, node: Node, key: str) -> str | None:
        child = node.entries.get(key)
        if child is None:
            self._mistakes.add(node.line, node.path, f"no {key}")
            return None
        if isinstance(child.value, bool) or not isinstance(child.value, str | int | float):
            self._mistakes.add(child.line, child.path, f"expected a text, got {child.kind}")
            return None
        return str(child.value)

    def _duration(self, node: Node, key: str) -> int:
        child = node.entries.get(key)
        if child is None or child.value is None:
            return 0
        found = parse_duration_ms(str(child.value))
        if found is None:
            self._mistakes.add(child.line, child.path, f"expected a duration such as 5m, got {child.kind}")
        return found or 0

    def _texts(self, node: Node, key: str) -> dict[str, str]:
        child = node.entries.get(key)
        if child is None or child.value is None:
            return {}
        if not isinstance(child.value, dict):
            self._mistakes.add(child.line, child.path, f"expected a mapping, got {child.kind}")
        return {name: str(entry.value) for name, entry in child.entries.items() if entry.value is not None}

"""The budgets in force, as `driftline.orders` tells them.

In memory only: the topic is compacted and read from its beginning at every start.
"""

from budgets.order import Order
from budgets.spec.model import ServiceBudget
from budgets.spec.resolve import budget_of_order


class BudgetsInForce:
    """Takes orders as they come and says what holds at a moment."""

    def __init__(self) -> None:
        # service -> what holds from when on, oldest first; None = not watched.
        self._versions: dict[str, list[tuple[int, ServiceBudget | None]]] = {}

    def on_order(self, subject: str, order: Order | None) -> None:
        """Take one order; those that are not about budgets are nobody's business here."""
        kind, _, service = subject.partition("/")
        if kind != "budget":
            return
        if order is None:
            self._versions.pop(service, None)
            return
        budget = budget_of_order(order)
        # A later order replaces what was to hold from the same step or later.
        earlier = [version for version in self._versions.get(service, []) if version[0] < order.effective_at]
        self._versions[service] = [*earlier, (order.effective_at, budget)]

    def at(self, now_ms: int) -> dict[str, ServiceBudget]:
        """The budgets that hold at `now_ms`, by service in their order; what cannot hold again is forgotten."""
        current: dict[str, ServiceBudget] = {}
        for service, versions in sorted(self._versions.items()):
            passed = [version for version in versions if version[0] <= now_ms]
            self._versions[service] = versions[max(0, len(passed) - 1) :]
            budget = passed[-1][1] if passed else None
            if budget is not None:
                current[service] = budget
        return current

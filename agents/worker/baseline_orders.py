"""Orders about baselines on their way to the partitions: those that come later are told, too.

A partition tells by itself what it has carried out, so telling twice does no harm.
"""

from collections.abc import Mapping

from agents.kafka.partitions import partition_of
from agents.worker.partition import Partition
from budgets.baseline_order import SUBJECT
from budgets.order import Order


class BaselineOrders:
    """The newest order about each baseline."""

    def __init__(self) -> None:
        self._newest: dict[str, Order] = {}

    def take(self, subject: str, order: Order | None, held: Mapping[int, Partition], partitions: int) -> None:
        """Remember an order and tell it to the partition of its service, if it is held.

        order: None = a tombstone, which has no step and so orders nothing. partitions: how many there are.
        """
        if order is None:
            self._newest.pop(subject, None)
            return
        self._newest[subject] = order
        partition = held.get(_partition_of(subject, partitions))
        if partition is not None:
            partition.take_baseline_order(order)

    def tell(self, partition: Partition, partitions: int) -> None:
        """Tell a partition all that concerns it."""
        for subject, order in self._newest.items():
            if _partition_of(subject, partitions) == partition.number:
                partition.take_baseline_order(order)


def _partition_of(subject: str, partitions: int) -> int:
    return partition_of(subject.removeprefix(SUBJECT).partition("/")[0], partitions)

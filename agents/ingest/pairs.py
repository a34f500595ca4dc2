"""Series of HA pairs: the same series from two replicas, told apart by a label that is taken away."""

from dataclasses import dataclass

from agents.ingest.elections import Replica
from agents.ingest.routes import Route
from streams.wire.labels import encode_labels

Labels = tuple[tuple[str, str], ...]


class ReplicaRoute(Route):
    """Where the samples of one series of one replica go, if that is the elected one.

    route: that of the series without the replica's label. blob: its label section.
    """

    __slots__ = ("blob", "replica", "route")

    def __init__(self, route: Route, replica: Replica, blob: bytes) -> None:
        super().__init__(route.metric, route.services)
        self.route = route
        self.replica = replica
        self.blob = blob


@dataclass(frozen=True, slots=True)
class HaLabels:
    """The names of the two labels. replica: empty = there are no pairs."""

    cluster: str
    replica: str

    def split(self, blob: bytes, labels: Labels) -> tuple[Replica | None, bytes, Labels]:
        """The replica that a series is of, and the series without it: as a label section and as labels.

        None = the series has not both labels, and stays as it is.
        """
        if not self.replica or self.replica.encode() not in blob:
            return None, b"", labels
        named = dict(labels)
        cluster, name = named.get(self.cluster), named.pop(self.replica, None)
        if cluster is None or name is None:
            return None, b"", labels
        return Replica(cluster, name), encode_labels(named), tuple(named.items())

"""Which replica of an HA pair is taken: decided by the order and the times of a log, the same for every ingest.

A record of the log is a *claim*: one replica of one cluster has samples to write. The first claim elects its replica;
the elected one's later claims renew it; another's is granted only when the elected one has not been renewed for the
timeout, by the log's own append times. So every ingest that has read the log up to one record agrees on everything.
A claim of an ingest that is sure that the replica is elected says so, and is granted always: whatever two ingests
have read before (compaction takes old claims away), after such a record they agree.

Reading takes a moment, therefore an ingest goes by what it has read only while that leaves room: the elected replica
is taken for half of the timeout after it was renewed, the others are passed over for all of it. Outside these a claim
is written, and read back, before anything is taken. See `docs/decisions/0011-ha-pairs.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Replica(NamedTuple):
    """One of the Prometheis that scrape the same targets."""

    cluster: str
    name: str


class Standing(Enum):
    """What is to be done with a replica's samples. UNSETTLED: write a claim and look again."""

    ELECTED = "elected"
    STANDBY = "standby"
    UNSETTLED = "unsettled"


@dataclass(slots=True)
class _Election:
    name: str
    renewed_ms: int


class Elections:
    """The elected replica of every cluster.

    monotonic_ms: a clock that never jumps.
    """

    def __init__(self, timeout_ms: int, monotonic_ms: Callable[[], float]) -> None:
        self._timeout_ms = timeout_ms
        self._monotonic_ms = monotonic_ms
        self._ahead_ms: float | None = None
        self._elections: dict[str, _Election] = {}

    @property
    def clusters(self) -> int:
        """How many there are."""
        return len(self._elections)

    def observe(self, claim: Replica, at_ms: int, *, renews: bool = False) -> bool:
        """Take a claim of the log, appended `at_ms`; whether it took another replica's place.

        Args:
            renews: who wrote it is sure that the replica is elected.
        """
        election = self._elections.get(claim.cluster)
        if election is None:
            self._elections[claim.cluster] = _Election(claim.name, at_ms)
        elif election.name == claim.name:
            election.renewed_ms = at_ms
        elif renews or at_ms - election.renewed_ms >= self._timeout_ms:
            election.name, election.renewed_ms = claim.name, at_ms
            return True
        else:
            # Where the log's time went back, the timeout runs from there.
            election.renewed_ms = min(election.renewed_ms, at_ms)
        return False

    def set_clock(self, log_ms: int, sent_ms: float) -> None:
        """What time it was in the log when a claim of our own was written, and by our clock when it was sent.

        It was sent before: elections look older than they are by the time between, never younger.
        """
        self._ahead_ms = log_ms - sent_ms

    def is_elected(self, replica: Replica) -> bool:
        """Whether it is the elected one, as far as the log was read."""
        election = self._elections.get(replica.cluster)
        return election is not None and election.name == replica.name

    def standing(self, replica: Replica) -> Standing:
        """What is to be done with its samples now."""
        age_ms = self._age_ms(replica)
        if age_ms is None:
            return Standing.UNSETTLED
        if self.is_elected(replica):
            return Standing.ELECTED if age_ms < self._timeout_ms / 2 else Standing.UNSETTLED
        return Standing.STANDBY if age_ms < self._timeout_ms else Standing.UNSETTLED

    def is_due(self, replica: Replica) -> bool:
        """Whether an elected replica should be renewed."""
        age_ms = self._age_ms(replica)
        return age_ms is None or age_ms >= self._timeout_ms / 10

    def _age_ms(self, replica: Replica) -> float | None:
        """How long ago the cluster's elected replica was renewed; None = that cannot be told."""
        election = self._elections.get(replica.cluster)
        if election is None or self._ahead_ms is None:
            return None
        return self._monotonic_ms() + self._ahead_ms - election.renewed_ms

    def expire(self) -> None:
        """Forget clusters that are silent: what holds for them is what holds for new ones."""
        if self._ahead_ms is None:
            return
        oldest_ms = self._monotonic_ms() + self._ahead_ms - 2 * self._timeout_ms
        self._elections = {
            cluster: election for cluster, election in self._elections.items() if election.renewed_ms > oldest_ms
        }

"""What changed recently, service by service, and how surprising it is that something changed just before an onset.

A change that has nothing to do with an alert falls anywhere. Where a service changes `per_day` times a day, the chance
that one falls within `t` before an onset is 1 - exp(-per_day x t). `per_day` comes from the service's own changes, to
which one in one day is added: a service whose first change this is has told nothing about its habits yet.

Deterministic: a change counts from its `effective_at` on, whenever it was told.
"""

from bisect import insort
from collections.abc import Sequence

import msgspec

from budgets.change import Change
from budgets.coincidence import chance_within
from budgets.event import RecentChange, format_time

# A change is named when it began at most so long before the onset. The numbers say what it is worth.
PRECEDES_MS = 3_600_000
# A habit is what was usual in the last four weeks.
_MEMORY_MS = 28 * 86_400_000
_DAY_MS = 86_400_000.0
# Of each service; what waits for its step may be all that a replay brings.
MOST_KNOWN, MOST_WAITING = 32, 1_000
# Names come from outside: the services that changed longest ago are forgotten first.
MOST_SERVICES = 10_000
# In one event: the latest ones.
MOST_NAMED = 3


class Known(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A change of a service that is known from the step `effective_at` on. Times are Unix ms."""

    effective_at: int
    at: int
    version: str
    note: str


class ChangeHistory:
    """The changes of the services of one Judge. known: those that count, by service, oldest first."""

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        self._waiting: dict[str, list[Known]] = {}
        self._next_at: int | None = None
        self.known: dict[str, list[Known]] = {}

    def note(self, change: Change) -> None:
        """Take a change, which counts from its step on; one that was taken before changes nothing."""
        waiting = self._waiting.setdefault(change.service, [])
        new = Known(change.effective_at, change.at_ms, change.version, change.note)
        if new not in waiting:
            insort(waiting, new)
            del waiting[:-MOST_WAITING]
            self._next_at = min(new.effective_at, self._next_at or new.effective_at)

    def advance(self, at: int) -> None:
        """Let everything count that is known at a step."""
        if self._next_at is None or at < self._next_at:
            return
        for service, waiting in sorted(self._waiting.items()):
            begun = [change for change in waiting if change.effective_at <= at]
            if begun:
                self._take(service, begun, at)
                self._waiting[service] = waiting[len(begun) :]
        self._waiting = {service: waiting for service, waiting in self._waiting.items() if waiting}
        self._next_at = min((waiting[0].effective_at for waiting in self._waiting.values()), default=None)
        while len(self.known) > MOST_SERVICES:
            del self.known[min(self.known, key=lambda service: (self.known[service][-1], service))]

    def _take(self, service: str, begun: Sequence[Known], at: int) -> None:
        known = {(change.at, change.version): change for change in self.known.get(service, ())}
        for change in begun:
            if change.at > at - _MEMORY_MS:  # what is told again was known before
                known.setdefault((change.at, change.version), change)
        if known:
            self.known[service] = sorted(known.values())[-MOST_KNOWN:]

    def forget(self, at: int) -> None:
        """Drop what is too old to tell anything."""
        for service, known in list(self.known.items()):
            self.known[service] = [change for change in known if change.at > at - _MEMORY_MS]
            if not self.known[service]:
                del self.known[service]

    # --- questions -----------------------------------------------------------------------------------------------

    def per_day(self, service: str, at: int) -> float:
        """How often a service changes; at least once in the time that is remembered."""
        earlier = [change.at for change in self.known.get(service, ()) if change.at <= at]
        days = (at - min(earlier, default=at)) / _DAY_MS
        return (len(earlier) + 1.0) / (days + 1.0)

    def before(self, service: str, onset: int) -> list[Known]:
        """The changes of a service shortly before an onset, oldest first."""
        # An onset is known to the step before or after.
        return [
            change
            for change in self.known.get(service, ())
            if onset - PRECEDES_MS <= change.at <= onset + 2 * self._step_ms
        ]

    def suspects(self, services: Sequence[str], onset: int) -> tuple[RecentChange, ...]:
        """What changed shortly before an onset, the latest last, each with its chance.

        services: the one whose alert it is, then others of its incident. Whoever looks at more services finds more
        changes by chance: the rates of all that are looked at count against a change of another service.
        """
        found = []
        everywhere = sum(self.per_day(each, onset) for each in services)
        for place, service in enumerate(services):
            per_day = self.per_day(service, onset) if place == 0 else everywhere
            for change in self.before(service, onset):
                chance = chance_within(per_day, max(0, onset - change.at) + self._step_ms)
                found.append((change.at, service, change, per_day, chance))
        found.sort(key=lambda each: each[:2])
        return tuple(
            RecentChange(service, change.version, format_time(at), change.note, per_day, chance)
            for at, service, change, per_day, chance in found[-MOST_NAMED:]
        )

    def shared_chance(self, service: str, onset: int, other: str, other_onset: int) -> float:
        """The chance that both services changed to one version as closely as they did; 1.0 = they did not."""
        others = {change.version: change.at for change in self.before(other, other_onset)}
        chances = [
            chance_within(self.per_day(service, onset), 2 * (abs(change.at - others[change.version]) + self._step_ms))
            for change in self.before(service, onset)
            if change.version in others
        ]
        return min(chances, default=1.0)

"""Incidents: whatever the stories, a restart changes nothing, and nothing is left when everything is over."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from budgets.change import Change
from budgets.event import format_time
from budgets.incident import Incidents, SavedIncidents

STEP_MS = 15_000
START_MS = 1_800_000_000_000
SERVICES = ("api", "web", "db", "shop")

# A service's alert begins, or the oldest one ends, or a version is deployed; seconds since the last of these.
STORY = st.lists(
    st.tuples(
        st.sampled_from(SERVICES),
        st.sampled_from(["begins", "begins", "is strange", "ends", "changes"]),
        st.integers(0, 4_000),
        st.integers(0, 600),
    ),
    max_size=40,
)
Story = list[tuple[str, str, int, int]]


def create() -> Incidents:
    incidents = Incidents(STEP_MS)
    for service in SERVICES:
        incidents.watch(service)
    return incidents


def restarted(incidents: Incidents) -> Incidents:
    copy = create()
    copy.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(incidents.snapshot()), type=SavedIncidents))
    for service in SERVICES:
        copy.watch(service)
    return copy


def tell(story: Story, *restarts: int) -> tuple[Incidents, list[str], list[str]]:
    """What was decided, and which alerts are open at the end."""
    incidents, at, decided, still_open = create(), START_MS, list[str](), list[str]()
    for number, (service, what, pause_s, ago_s) in enumerate(story):
        if number in restarts:
            incidents = restarted(incidents)
        at += pause_s * 1_000
        incidents.changes.advance(at)
        if what == "changes":
            incidents.changes.note(Change(service, str(ago_s % 3), format_time(at), "test", at))
            incidents.changes.advance(at)
        elif what == "ends" and still_open:
            incidents.leave(still_open.pop(0))
        elif what != "ends":
            name = incidents.join(service, at - ago_s * 1_000, at, weighty=what == "begins")
            decided.append(name)
            still_open.append(name)
    return incidents, decided, still_open


@given(STORY, st.integers(0, 40), st.integers(0, 40))
def test_a_restart_at_any_moment_changes_nothing(story: Story, one: int, other: int) -> None:
    whole, decided, _ = tell(story)
    again, decided_again, _ = tell(story, one, other)
    assert decided_again == decided
    assert again.snapshot() == whole.snapshot()


@given(STORY)
def test_an_incident_is_open_as_long_as_one_of_its_alerts_is(story: Story) -> None:
    incidents, _, still_open = tell(story)
    assert {name: incident.open_alerts for name, incident in incidents.open.items()} == {
        name: still_open.count(name) for name in still_open
    }
    for name in still_open:
        incidents.leave(name)
    saved = incidents.snapshot()
    assert (saved.open, saved.recent) == ([], [])

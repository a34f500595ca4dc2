"""Whatever the values do: stopping and going on changes nothing, and alerts live by their rules."""

from collections import defaultdict

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.event import AlertEvent, encode_event
from budgets.judge import Judge
from budgets.spec.model import ServiceBudget
from streams.frame import IndicatorFrame
from tests.acceptance.timeline import START_MS, Row, frame_of, spec

STEP_MS = 60_000
SPEC = spec(window_ms=60_000, for_ms=120_000, keep_firing_for_ms=120_000, min_traffic=20.0)
RATE = spec(
    id="api/rate", name="rate", direction="below", unit="1/s", limit=50.0, warning=60.0, critical=50.0, for_ms=0
)
Version = tuple[int, ServiceBudget | None]

# Long steady stretches teach a baseline, short ones bring every state about.
_value = st.sampled_from([None, 100.0, 100.0, 101.0, 130.0, 170.0, 230.0, 55.0, 0.0])
_stretch = st.tuples(
    st.sampled_from(["api/latency", 'api/latency{route="a"}', "api/rate"]),
    _value,
    st.sampled_from([None, 5.0, 500.0]),
    st.integers(1, 25),
)
_stretches = st.lists(st.lists(_stretch, min_size=1, max_size=3), min_size=1, max_size=8)
_versions = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.sampled_from(
            [
                None,
                ServiceBudget("api", (SPEC,)),
                ServiceBudget("api", (SPEC, RATE)),
                ServiceBudget("api", (msgspec.structs.replace(SPEC, warning=120.0, labels={"team": "x"}), RATE)),
                ServiceBudget("api", (msgspec.structs.replace(SPEC, expr="other"), RATE)),
            ]
        ),
    ),
    max_size=3,
)


def frames_of(stretches: list[list[tuple[str, float | None, float | None, int]]]) -> list[IndicatorFrame]:
    frames, number = [], 0
    for stretch in stretches:
        row: Row = {point_id: (value, weight) for point_id, value, weight, _ in stretch}
        for _ in range(stretch[0][3]):
            frames.append(frame_of(START_MS + number * STEP_MS, row, STEP_MS))
            number += 1
    return frames


def judge_of(versions: list[Version]) -> Judge:
    judge = Judge(STEP_MS)
    judge.define(ServiceBudget("api", (SPEC, RATE)), "api", 0)
    for number, budget in sorted(versions, key=lambda version: version[0]):
        judge.define(budget, "api", START_MS + number * STEP_MS)
    return judge


def judged(judge: Judge, frames: list[IndicatorFrame]) -> list[AlertEvent]:
    return [event for frame in frames for event in judge.observe(frame)]


@settings(max_examples=150, deadline=None)
@given(stretches=_stretches, versions=_versions, data=st.data())
def test_stopping_at_any_step_and_going_on_gives_the_same_events_and_the_same_state(
    stretches: list[list[tuple[str, float | None, float | None, int]]],
    versions: list[Version],
    data: st.DataObject,
) -> None:
    frames = frames_of(stretches)
    stop = data.draw(st.integers(0, len(frames)))
    whole = judge_of(versions)
    expected = judged(whole, frames)

    first = judge_of(versions)
    events = judged(first, frames[:stop])
    saved = first.snapshot()
    second = judge_of(versions) if data.draw(st.booleans(), "defined before") else Judge(STEP_MS)
    second.restore(saved)
    assert second.snapshot() == saved
    events += judged(second, frames[stop:])

    assert [encode_event(event) for event in events] == [encode_event(event) for event in expected]
    assert second.snapshot() == whole.snapshot()


@settings(max_examples=60, deadline=None)
@given(stretches=_stretches, versions=_versions, data=st.data())
def test_frames_that_come_again_change_nothing(
    stretches: list[list[tuple[str, float | None, float | None, int]]],
    versions: list[Version],
    data: st.DataObject,
) -> None:
    frames = frames_of(stretches)
    once, repeated = judge_of(versions), judge_of(versions)
    expected = judged(once, frames)
    events: list[AlertEvent] = []
    for number, frame in enumerate(frames):
        events += repeated.observe(frame)
        back = data.draw(st.integers(0, 3))
        assert judged(repeated, frames[max(0, number + 1 - back) : number + 1]) == []
    assert events == expected
    assert repeated.snapshot() == once.snapshot()


@settings(max_examples=150, deadline=None)
@given(stretches=_stretches, versions=_versions)
def test_episodes_live_by_their_rules(
    stretches: list[list[tuple[str, float | None, float | None, int]]], versions: list[Version]
) -> None:
    events = judged(judge_of(versions), frames_of(stretches))
    assert len({event.id for event in events}) == len(events)
    episodes: dict[str, list[AlertEvent]] = defaultdict(list)
    for event in events:
        episodes[event.episode].append(event)
    for episode in episodes.values():
        transitions = [event.transition for event in episode]
        immediate = episode[0].kind == "no_data" or (episode[0].kind == "budget" and episode[0].indicator == "rate")
        assert transitions[0] in ({"firing", "pending"} if immediate else {"pending"})
        assert transitions.count("pending") <= 1
        assert transitions.count("resolved") <= 1
        assert "resolved" not in transitions[:-1]
        assert len({event.incident for event in episode}) == 1
        assert len({event.starts_at for event in episode}) == 1
        for event in episode:
            assert (event.status == "resolved") == (event.transition == "resolved") == (event.ends_at is not None)
            assert (event.status == "stale") == (event.transition == "stale")
            if event.transition == "resolved":
                is_closed = " alert ended, " in event.annotations.summary
                assert event.value is not None or is_closed or event.kind == "no_data"


@settings(max_examples=60, deadline=None)
@given(stretches=_stretches)
def test_events_of_one_indicator_do_not_depend_on_the_others(
    stretches: list[list[tuple[str, float | None, float | None, int]]],
) -> None:
    frames = frames_of(stretches)
    together, alone = judge_of([]), Judge(STEP_MS)
    alone.define(ServiceBudget("api", (RATE,)), "api", 0)
    expected = [event for event in judged(together, frames) if event.indicator == "rate"]
    events = judged(alone, frames)
    assert [(event.id, event.value, event.evidence) for event in events] == [
        (event.id, event.value, event.evidence) for event in expected
    ]

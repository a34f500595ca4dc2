"""Rings, hashes, labels and windows: what they keep, what they let go, how little they take."""

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.series import moves
from streams.series.columns import OLDEST, Columns
from streams.series.hashes import RowTable, hash_all
from streams.series.index import SeriesIndex
from streams.series.matchers import Matcher
from streams.series.selection import Selection, required_label
from streams.series.space import Space
from streams.series.store import Ceilings, SeriesStore
from streams.series.window import Window
from streams.wire.labels import encode_labels
from streams.wire.samples import STALE_NAN

KEEP_MS = 300_000


def rows_of(*rows: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(rows, np.int32)


def fill(columns: Columns, row: int, times: list[int]) -> None:
    for time in times:
        columns.append(rows_of(row), rows_of(time), np.array([float(time)]), time - KEEP_MS, KEEP_MS)


@pytest.mark.parametrize(("interval_ms", "slots"), [(1000, 320), (15_000, 24), (60_000, 8), (300_000, 2)])
def test_a_ring_has_room_for_the_window_and_little_more(interval_ms: int, slots: int) -> None:
    columns = Columns()
    columns.add_row()
    times = list(range(0, 4_000_000, interval_ms))
    fill(columns, 0, times)
    window = Window(columns, KEEP_MS, 0)
    window.cover(rows_of(0))
    (span,) = window.move_to(times[-1])
    inside = [time for time in times if time > times[-1] - KEEP_MS]
    (samples,) = span.lay_out(np.array([0]))
    assert samples.values[:, 0].tolist() == [float(time) for time in inside]
    assert columns.times_at(columns.slots(rows_of(0), columns.oldest(rows_of(0)))) <= inside[0]
    assert columns.capacity_of(0) == slots


def test_a_ring_grows_until_the_window_fits_however_odd_the_beginning() -> None:
    columns = Columns()
    columns.add_row()
    times = [0, 1, 2, 3, 100_000, *range(100_500, 400_000, 500)]
    fill(columns, 0, times)
    window = Window(columns, KEEP_MS, 0)
    window.cover(rows_of(0))
    (span,) = window.move_to(times[-1])
    assert int(span.last[0] - span.first[0] + 1) == sum(time > times[-1] - KEEP_MS for time in times)


@settings(deadline=None)
@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=80), st.integers(0, 60_000))
def test_a_window_holds_what_lies_in_it_at_every_step(gaps: list[int], range_ms: int) -> None:
    columns = Columns()
    columns.add_row()
    times = np.cumsum(gaps).tolist()
    window = Window(columns, range_ms, 0)
    window.cover(rows_of(0))
    for time, after in zip(times, [*times[1:], times[-1] + 1], strict=True):
        fill(columns, 0, [time])
        for step in (time - 1, time, (time + after) // 2):
            if step < time - 1:
                continue
            (span,) = window.move_to(step)
            inside = [float(t) for t in times if step - range_ms < t <= min(step, time)]
            values = [s.values[s.there].tolist() for s in span.lay_out(np.array([0]))]
            assert (values[0] if values else []) == inside


def test_resets_and_markers_are_remembered_by_number() -> None:
    columns = Columns()
    columns.add_row()
    columns.add_row()
    marker = np.array([0x7FF0_0000_0000_0002], np.uint64).view(np.float64)[0]
    for time, values in enumerate([(5.0, 1.0), (7.0, np.nan), (2.0, 0.5), (3.0, marker), (1.0, 3.0)]):
        columns.append(rows_of(0, 1), rows_of(time, time), np.array(values), -1, KEEP_MS)
    assert columns.reset.tolist()[:2] == [4, 0]
    assert columns.marker.tolist()[:2] == [-1, 3]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), min_size=1, max_size=150),
    st.sampled_from((50, 200, 1000)),
    st.booleans(),
)
def test_samples_that_come_late_lie_where_they_would_have_lain(
    arriving: list[tuple[int, int]], range_ms: int, is_log_short: bool
) -> None:
    columns = Columns()
    for _ in range(4):
        columns.add_row()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "_MOST", 50 if is_log_short else 1 << 16)
        kept: dict[int, dict[int, float]] = {row: {} for row in range(4)}
        window, rare = Window(columns, range_ms, 0), Window(columns, range_ms, 0)
        for one in (window, rare):
            one.cover(rows_of(0, 2, 3))
        for number, (row, time) in enumerate(arriving):
            horizon = number * 2 - 1000
            value = STALE_NAN if time % 11 == 0 else float(time % 13)
            late = time <= columns.newest[row]
            put = columns.insert if late else columns.append
            taken = put(rows_of(row), rows_of(time), np.array([value]), horizon, 1000)
            assert taken is None or bool(taken[0]) == (time not in kept[row])
            kept[row].setdefault(time, value)
            assert_window_holds(window, kept, number * 2, range_ms)
        assert_window_holds(rare, kept, len(arriving) * 2, range_ms)


def assert_window_holds(window: Window, kept: dict[int, dict[int, float]], step: int, range_ms: int) -> None:
    (span,) = window.move_to(step)
    found: dict[int, list[tuple[int, float]]] = {row: [] for row in span.rows.tolist()}
    for samples in span.lay_out(np.arange(len(span.rows))):
        for place, which in enumerate(samples.which.tolist()):
            there = samples.there[:, place]
            times, values = samples.times[there, place].tolist(), samples.values[there, place].tolist()
            found[int(span.rows[which])] = list(zip(times, values, strict=True))
    for place, (row, pairs) in enumerate(found.items()):
        inside = [(t, v) for t, v in sorted(kept[row].items()) if step - range_ms < t <= step]
        assert pairs == [(time, value) for time, value in inside if not math.isnan(value)]
        # What the quick ways rely on: they may look in vain, never miss.
        first = int(span.first[place])
        resets = [n for n, ((_, a), (_, b)) in enumerate(pairwise(inside), 1) if b < a]
        assert not resets or window._columns.reset[row] >= first + max(resets)
        markers = [number for number, (_, value) in enumerate(inside) if math.isnan(value)]
        assert not markers or window._columns.marker[row] >= first + max(markers)


def test_late_samples_of_many_series_are_put_in_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.series.columns._MOST_INSERTED", 3)
    columns = Columns()
    for row in range(10):
        columns.add_row()
        fill(columns, row, [10 * n for n in range(row + 2)])
    times = np.full(10, 5, np.int32)
    assert columns.insert(rows_of(*range(10)), times, np.full(10, 5.0), -1, KEEP_MS).all()
    assert not columns.insert(rows_of(*range(10)), times, np.full(10, 6.0), -1, KEEP_MS).any()
    for row in range(10):
        numbers = np.arange(row + 3, dtype=np.int32)
        slots = columns.slots(np.full(row + 3, row, np.int32), numbers)
        assert columns.values_at(slots).tolist() == [0.0, 5.0, *(10.0 * n for n in range(1, row + 2))]


def test_the_epoch_moves_and_ages_end_at_the_oldest() -> None:
    columns = Columns()
    columns.add_row()
    fill(columns, 0, [1000, 2000])
    columns.rebase(1500)
    assert columns.newest[0] == 500
    columns.rebase(2**40)
    assert columns.newest[0] == OLDEST


def test_compaction_gives_rings_back_and_keeps_the_others() -> None:
    columns = Columns()
    for row in range(50):
        columns.add_row()
        fill(columns, row, [row, row + 1000, row + 2000])
    taken = columns.slot_count
    columns.compact(np.array([row % 2 == 1 for row in range(50)]))
    assert columns.size == 25
    assert columns.values_at(columns.slots(rows_of(*range(25)), columns.count[:25] - 1)).tolist() == [
        row + 2000.0 for row in range(1, 50, 2)
    ]
    for row in range(25, 50):
        columns.add_row()
        fill(columns, row, [row, row + 1000, row + 2000])
    assert columns.slot_count == taken


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from((2, 4, 24, 320)), st.integers(1, 200)), max_size=20), st.integers(0, 1000))
def test_space_is_never_given_twice(asked: list[tuple[int, int]], seed: int) -> None:
    random, space = Random(seed), Space()
    held: list[tuple[int, list[int]]] = []
    for size, count in asked:
        held.append((size, space.allocate(size, count).tolist()))
        if random.random() < 0.5:
            given_size, starts = held.pop(random.randrange(len(held)))
            space.release(given_size, np.array(starts, np.int32))
        slots = [slot for size, starts in held for start in starts for slot in range(start, start + size)]
        assert len(set(slots)) == len(slots)
        assert not slots or max(slots) < space.size


@settings(deadline=None)
@given(st.sets(st.binary(max_size=8), max_size=300))
def test_a_table_finds_what_was_added_and_nothing_else(keys: set[bytes]) -> None:
    known = sorted(keys)
    table = RowTable()
    hashes = hash_all(known, len(known))
    for row, key in enumerate(hashes.tolist()):
        assert table.get(key) == -1
        table.add(key, row)
    assert table.find(hashes).tolist() == list(range(len(known)))
    assert [table.get(key) for key in hashes.tolist()] == list(range(len(known)))
    strangers = hash_all((key + b"?" * 9 for key in known), len(known))
    assert set(table.find(strangers).tolist()) <= {-1}
    renumbered = np.array([row // 2 if row % 2 else -1 for row in range(len(known))], np.int32)
    table.rebuild(renumbered)
    assert table.find(hashes).tolist() == renumbered.tolist()
    assert len(table) == len(known) // 2


def test_keys_that_meet_in_one_slot_are_told_apart() -> None:
    table = RowTable()
    keys = [5 + 4096 * number for number in range(40)]
    for row, key in enumerate(keys):
        table.add(key, row)
    assert table.find(np.array(keys, np.uint64)).tolist() == list(range(40))
    assert table.find(np.array([5 + 4096 * 41], np.uint64)).tolist() == [-1]
    table.rebuild(np.arange(40, dtype=np.int32))
    assert table.find(np.array(keys, np.uint64)).tolist() == list(range(40))


def test_labels_are_kept_over_renumbering() -> None:
    index = SeriesIndex()
    labels = [(("__name__", "up"), ("pod", f"pod-{number % 7}"), ("x", str(number))) for number in range(20)]
    for pairs in labels:
        index.add(encode_labels(dict(pairs)), pairs)
    keep = np.array([number % 3 == 0 for number in range(20)])
    renumbered = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
    index.compact(keep, renumbered)
    assert [index.labels_of(row) for row in range(len(index))] == labels[::3]
    blobs = [encode_labels(dict(pairs)) for pairs in labels]
    assert index.find(hash_all(blobs, 20)).tolist() == renumbered.tolist()
    assert index.rows_with("pod", "pod-0").tolist() == [n // 3 for n in range(0, 20, 3) if n % 7 == 0]
    assert index.rows_with("pod", "nobody").tolist() == []
    assert index.add(blobs[1], labels[1]) == len(labels[::3])
    assert index.labels_of(len(labels[::3])) == labels[1]


def test_a_selector_waits_at_a_label_that_its_series_must_have() -> None:
    name, service = Matcher("__name__", "=", "up"), Matcher("service", "=", "a")
    assert required_label((name, service, Matcher("zone", "!=", "b"))) == ("service", "a")
    assert required_label((name, Matcher("zone", "=", ""))) == ("__name__", "up")
    assert required_label((Matcher("zone", "=~", "a|b"),)) is None


def test_members_are_the_same_whether_selector_or_series_came_first() -> None:
    matchers = [
        (Matcher("__name__", "=", "up"),),
        (Matcher("__name__", "=", "up"), Matcher("service", "=", "a")),
        (Matcher("__name__", "=~", "up|down"), Matcher("service", "!=", "a")),
        (Matcher("service", "=", "nobody"),),
    ]
    store = SeriesStore(Ceilings(), 0, KEEP_MS)
    early = [store.selection.members_of(some) for some in matchers]
    for name in ("up", "down", "left"):
        for service in "abc":
            labels = (("__name__", name), ("service", service))
            store.add(encode_labels(dict(labels)), labels)
    late = Selection(store.index)
    assert [members.rows.tolist() for members in early] == [late.members_of(some).rows.tolist() for some in matchers]
    assert [members.size for members in early] == [3, 1, 4, 0]

"""Snapshots in a table: cut to fit messages, and whole or not there at all."""

import os

import pytest

import agents.worker.snapshots
from agents.worker.snapshots import read_snapshot, write_snapshot


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.worker.snapshots, "CHUNK_BYTES", 100)


def test_an_empty_table_has_no_snapshot() -> None:
    assert read_snapshot({}, 0) is None


def test_the_newest_of_two_is_read() -> None:
    table: dict[bytes, bytes] = {}
    old, new = os.urandom(1000), os.urandom(350)
    write_snapshot(table, 3, 0, 1_000, old)
    assert read_snapshot(table, 3) == (1_000, old)
    write_snapshot(table, 3, 1, 2_000, new)
    assert read_snapshot(table, 3) == (2_000, new)
    assert read_snapshot(table, 4) is None
    assert max(len(chunk) for chunk in table.values()) < 130


def test_a_smaller_snapshot_over_a_larger_one_is_whole() -> None:
    table: dict[bytes, bytes] = {}
    write_snapshot(table, 0, 0, 1_000, os.urandom(1000))
    write_snapshot(table, 0, 0, 3_000, b"small")
    assert read_snapshot(table, 0) == (3_000, b"small")


@pytest.mark.parametrize("written", range(1, 11))
def test_one_that_was_cut_short_leaves_the_older_one(written: int) -> None:
    table: dict[bytes, bytes] = {}
    first, second, third = (os.urandom(1000) for _ in range(3))
    write_snapshot(table, 0, 0, 1_000, first)
    write_snapshot(table, 0, 1, 2_000, second)
    fresh: dict[bytes, bytes] = {}
    write_snapshot(fresh, 0, 0, 3_000, third)
    assert len(fresh) == 11
    for key in list(fresh)[:written]:  # the worker died between two chunks
        table[key] = fresh[key]
    assert read_snapshot(table, 0) == (2_000, second)

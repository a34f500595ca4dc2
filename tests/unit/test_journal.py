"""The embedded broker's journal: what was written is there again, a torn tail costs the tail and nothing else."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from agents.kafka.journal import CompactedJournal, Journal, Record, RotatingJournal, encode_frame, read_frames


def record(key: str, value: str | None = "v", timestamp_ms: int = 0) -> Record:
    return Record(key.encode(), None if value is None else value.encode(), (("h", b"x"),), timestamp_ms)


def flat(frames: Iterable[list[Record]]) -> list[Record]:
    return [one for frame in frames for one in frame]


def kept_in(journal: Journal) -> list[Record]:
    records = flat(journal.load())
    journal.close()
    return records


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    journal = RotatingJournal(tmp_path / "0.log", 1 << 20)
    written = [record("a", None), record("b", "x" * 1000, 7), Record(None, b"", (), 1 << 40)]
    journal.append(written[:2])
    journal.append(written[2:])
    journal.close()
    assert kept_in(RotatingJournal(tmp_path / "0.log", 1 << 20)) == written


@pytest.mark.parametrize("cut", range(1, len(encode_frame([record("tail")]))))
def test_a_torn_tail_is_cut_and_writing_goes_on_after_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(encode_frame([record("a")]) + encode_frame([record("tail")])[:-cut])
    journal = RotatingJournal(path, 1 << 20)
    assert flat(journal.load()) == [record("a")]
    journal.append([record("b")])
    journal.close()
    assert flat(read_frames(path)) == [record("a"), record("b")]


def test_a_flipped_bit_ends_the_journal_there(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    damaged = bytearray(encode_frame([record("b")]))
    damaged[-1] ^= 1
    path.write_bytes(encode_frame([record("a")]) + damaged + encode_frame([record("c")]))
    assert flat(read_frames(path)) == [record("a")]
    assert path.stat().st_size == len(encode_frame([record("a")]))


def test_a_rotating_journal_keeps_the_newest_and_stays_within_its_bound(tmp_path: Path) -> None:
    journal = RotatingJournal(tmp_path / "0.log", 10_000)
    for number in range(2_000):
        journal.append([record(f"{number}")])
    journal.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_200
    kept = [int(one.key or b"") for one in kept_in(RotatingJournal(tmp_path / "0.log", 10_000))]
    assert kept == list(range(kept[0], 2_000))
    assert len(kept) > 50


def test_a_compacted_journal_keeps_the_latest_of_each_key(tmp_path: Path) -> None:
    journal = CompactedJournal(tmp_path / "0.log", lag_ms=0)
    journal.append([record("a", "1"), record("b", "1"), record("gone", "1")])
    journal.append([record("a", "2"), record("gone", None)])
    journal.close()
    assert kept_in(CompactedJournal(tmp_path / "0.log", lag_ms=0)) == [record("b", "1"), record("a", "2")]


def test_a_compaction_lag_protects_what_was_replaced_a_moment_ago(tmp_path: Path) -> None:
    now_ms = round(time.time() * 1000)
    journal = CompactedJournal(tmp_path / "0.log", lag_ms=60_000)
    written = [record("a", "old", now_ms - 61_000), record("a", "1", now_ms - 1000), record("a", None, now_ms)]
    journal.append(written)
    journal.close()
    assert kept_in(CompactedJournal(tmp_path / "0.log", lag_ms=60_000)) == written[1:]


def test_a_compacted_journal_does_not_grow_with_every_write(tmp_path: Path) -> None:
    journal = CompactedJournal(tmp_path / "0.log", lag_ms=0)
    for number in range(300):
        journal.append([Record(b"a", number.to_bytes(4, "big") * 5_000, (), 0)])
        journal.append([Record(str(number).encode(), bytes(range(256)) * 40, (), 0)])
    journal.close()
    loaded = kept_in(CompactedJournal(tmp_path / "0.log", lag_ms=0))
    assert len(loaded) == 301
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_500_000

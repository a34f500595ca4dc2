"""The embedded broker's memory on disk: one small journal a partition, bounded, that survives `kill -9`.

A journal is a row of frames: length, CRC-32, zstd of a msgpack list of records. A tail that was being written when
the process died is cut at the next start. Topics that delete keep their newest bytes in two files that take turns;
topics that compact keep the latest record of each key, and those that a compaction lag protects. No Kafka here.
"""

import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cramjam
import msgspec
import structlog

log = structlog.get_logger()

_HEAD = struct.Struct("<II")
# A compacted journal is written anew when it is this much larger than what it must keep.
_SLACK_BYTES = 1024 * 1024


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One record; its offset is not kept, because offsets begin anew with every start of the broker."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

    @property
    def size_bytes(self) -> int:
        """About what it takes in a batch of its own, uncompressed."""
        return len(self.key or b"") + len(self.value or b"") + sum(len(n) + len(v) for n, v in self.headers) + 100


_decoder = msgspec.msgpack.Decoder(list[Record])


def encode_frame(records: Sequence[Record]) -> bytes:
    """One frame of a journal."""
    data = bytes(cramjam.zstd.compress(msgspec.msgpack.encode(records), level=1))
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def read_frames(path: Path) -> Iterator[list[Record]]:
    """Every whole frame of a file; what follows the last one is cut off."""
    if not path.exists():
        return
    good = 0
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        while head := file.read(_HEAD.size):
            length, checksum = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
            data = file.read(length)
            if len(head) < _HEAD.size or len(data) < length or zlib.crc32(data) != checksum:
                log.warning("the journal's torn end is cut off", file=str(path), bytes=size - good)
                file.truncate(good)
                return
            good += _HEAD.size + length
            yield _decoder.decode(bytes(cramjam.zstd.decompress(data)))


class _File:
    """An append-only file with its size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self.size = self._file.tell()
        self._dirty = False

    def append(self, frame: bytes) -> None:
        self._file.write(frame)
        self._file.flush()  # the kernel has it: what the process's death cannot take away
        self.size += len(frame)
        self._dirty = True

    def sync(self) -> None:
        if self._dirty:
            os.fsync(self._file.fileno())
            self._dirty = False

    def close(self) -> None:
        self.sync()
        self._file.close()


class RotatingJournal:
    """The newest records of a partition, at most `limit_bytes` of them as they stand on disk."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._older = path.with_suffix(".old")
        self._limit_bytes = limit_bytes
        self._file = _File(path)

    def load(self) -> Iterator[list[Record]]:
        """Everything kept, oldest first; call it before the first `append`."""
        yield from read_frames(self._older)
        yield from read_frames(self._path)
        self._file.close()
        self._file = _File(self._path)

    def append(self, records: Sequence[Record]) -> None:
        """Keep further records."""
        if self._file.size >= self._limit_bytes // 2:
            self._file.close()
            self._path.replace(self._older)
            self._file = _File(self._path)
        self._file.append(encode_frame(records))

    def sync(self) -> None:
        """Survive a power cut up to here."""
        self._file.sync()

    def close(self) -> None:
        """Stop writing."""
        self._file.close()


class CompactedJournal:
    """The latest record of each key, and every record younger than the topic's compaction lag."""

    def __init__(self, path: Path, lag_ms: int) -> None:
        self._path = path
        self._lag_ms = lag_ms
        self._file = _File(path)
        self._kept_bytes = 0
        self._records: list[Record] = []

    def load(self) -> Iterator[list[Record]]:
        """Everything kept, oldest first; call it before the first `append`."""
        self._records = _compact((record for frame in read_frames(self._path) for record in frame), self._since_ms())
        self._rewrite()
        if self._records:
            yield self._records

    def append(self, records: Sequence[Record]) -> None:
        """Keep further records."""
        self._file.append(encode_frame(records))
        self._records.extend(records)
        if self._file.size > 2 * self._kept_bytes + _SLACK_BYTES:
            self._records = _compact(self._records, self._since_ms())
            self._rewrite()

    def sync(self) -> None:
        """Survive a power cut up to here."""
        self._file.sync()

    def close(self) -> None:
        """Stop writing."""
        self._file.close()

    def _since_ms(self) -> int:
        return round(time.time() * 1000) - self._lag_ms

    def _rewrite(self) -> None:
        """A new file beside the old one, which it replaces when it is safe on disk."""
        self._file.close()
        fresh_path = self._path.with_suffix(".new")
        fresh_path.unlink(missing_ok=True)
        fresh = _File(fresh_path)
        if self._records:
            fresh.append(encode_frame(self._records))
        fresh.close()
        fresh_path.replace(self._path)
        self._file = _File(self._path)
        self._kept_bytes = self._file.size


def _compact(records: Iterable[Record], since_ms: int) -> list[Record]:
    """Without what a later record of the same key replaced before `since_ms`, and without old tombstones."""
    every = list(records)
    last = {record.key: place for place, record in enumerate(every)}
    return [
        record
        for place, record in enumerate(every)
        if record.timestamp_ms >= since_ms or (last[record.key] == place and record.value is not None)
    ]


Journal = RotatingJournal | CompactedJournal

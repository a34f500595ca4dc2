"""Judge snapshots in a Faust table, whose changelog is the durable copy.

A snapshot is cut into chunks that fit a Kafka message, and two of them are kept in turn: a worker that dies
between two chunks leaves the older one whole.
"""

from collections.abc import MutableMapping

import cramjam
import msgspec

CHUNK_BYTES = 512 * 1024


class _Chunk(msgspec.Struct, frozen=True, array_like=True):
    step_ms: int
    index: int
    count: int
    data: bytes


def _key(partition: int, slot: int, index: int) -> bytes:
    return f"{partition}/{slot}/{index}".encode()


def write_snapshot(
    table: MutableMapping[bytes, bytes], partition: int, slot: int, step_ms: int, snapshot: bytes
) -> None:
    """Store a snapshot taken after `step_ms` in one of the two slots (0 or 1)."""
    packed = bytes(cramjam.zstd.compress(snapshot, level=3))
    pieces = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    for index, piece in enumerate(pieces):
        table[_key(partition, slot, index)] = msgspec.msgpack.encode(_Chunk(step_ms, index, len(pieces), piece))


def _read_slot(table: MutableMapping[bytes, bytes], partition: int, slot: int) -> tuple[int, bytes] | None:
    first = table.get(_key(partition, slot, 0))
    if first is None:
        return None
    head = msgspec.msgpack.decode(first, type=_Chunk)
    pieces = [head.data]
    for index in range(1, head.count):
        data = table.get(_key(partition, slot, index))
        chunk = msgspec.msgpack.decode(data, type=_Chunk) if data is not None else None
        if chunk is None or chunk.step_ms != head.step_ms:
            return None
        pieces.append(chunk.data)
    return head.step_ms, bytes(cramjam.zstd.decompress(b"".join(pieces)))


def read_snapshot(table: MutableMapping[bytes, bytes], partition: int) -> tuple[int, bytes] | None:
    """The newest whole snapshot as (step, bytes), None = there is none."""
    whole = [found for slot in (0, 1) if (found := _read_slot(table, partition, slot)) is not None]
    return max(whole, key=lambda found: found[0], default=None)

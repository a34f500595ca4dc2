"""Changes inside a message that leave the lengths around it right, so that changed inputs reach further than the start.

Bytes changed anywhere mostly break the outermost length. Here a field at some depth is changed, left out, doubled or
moved, and every length that encloses it is written again.
"""

import random
from collections.abc import Callable

from streams.wire.errors import WireError
from streams.wire.protobuf import BYTES, encode_varint, walk_fields

_MOST_DEPTH = 4


def change_inside(data: bytes, rng: random.Random, change: Callable[[bytes], bytes], depth: int = 0) -> bytes:
    """The message with one part of it changed; what is no message is changed as bytes.

    Args:
        change: new bytes for old ones.
    """
    try:
        fields = list(walk_fields(data, 0, len(data)))
    except WireError:
        fields = []
    if not fields or depth == _MOST_DEPTH or rng.random() < 0.1:
        return change(data)
    parts = [data[field.start : field.end] for field in fields]
    place = rng.randrange(len(fields))
    field = fields[place]
    if field.wire_type == BYTES and rng.random() < 0.75:
        content = change_inside(data[field.value : field.end], rng, change, depth + 1)
        parts[place] = encode_varint(field.number << 3 | BYTES) + encode_varint(len(content)) + content
    else:
        _rearrange(parts, place, rng, change)
    return b"".join(parts)


def _rearrange(parts: list[bytes], place: int, rng: random.Random, change: Callable[[bytes], bytes]) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        parts[place] = change(parts[place])
    elif kind == 1:
        del parts[place]
    elif kind == 2:
        parts.insert(rng.randrange(len(parts) + 1), parts[place])
    else:
        rng.shuffle(parts)

"""The fuzz target of recognised requests: what is recognised by its bytes is what reading it series by series finds.

An input is two requests, one after the other, with the first one's length before it. The first is remembered where it
may be; the second, and the first once more, are then recognised or not.
"""

import random
from collections.abc import Callable
from unittest.mock import patch

import numpy as np

from streams.wire import layouts, repeats
from streams.wire.errors import WireError
from streams.wire.labels import parse_labels
from streams.wire.layouts import Layouts
from streams.wire.repeats import recognise
from streams.wire.request import split_request
from streams.wire.samples import Tails, read_tails
from tests.fuzz.mutate import change_inside

_MOST_BYTES = 1 << 20
MOST_FIRST_BYTES = 1000


def join(first: bytes, second: bytes) -> bytes:
    """Two requests as an input."""
    return len(first).to_bytes(2, "big") + first + second


def split(data: bytes) -> tuple[bytes, bytes]:
    """The two requests of an input."""
    size = int.from_bytes(data[:2], "big")
    return data[2 : 2 + size], data[2 + size :]


def change_one(data: bytes, rng: random.Random, change: Callable[[bytes], bytes]) -> bytes:
    """An input with one of its requests changed, the second one mostly, or made of the first one."""
    first, second = split(data)
    kind = rng.randrange(6)
    if kind == 0:
        first = change_inside(first, rng, change)
    elif kind == 1:
        second = first + second
    elif kind == 2:
        second = change_inside(first, rng, change)
    else:
        second = change_inside(second, rng, change)
    return join(first[:MOST_FIRST_BYTES], second)


def check(data: bytes, *, measured: bool = True) -> None:
    """Raise for anything that must not be. measured: there is no bound of memory here but the one that is set."""
    first, second = split(data)
    numbers: dict[bytes, int] = {}
    # Requests repay the effort from 64 series on, and one series of eight can be found: here every one.
    with (
        patch.object(layouts, "_LEAST_SERIES", 1),
        patch.object(layouts, "_ANCHOR_MASK", 0),
        patch.object(repeats, "FIRST", 2),
    ):
        memory = Layouts(_MOST_BYTES)
        remembered = _remember(memory, numbers, first)
        _remember(memory, numbers, second[: len(second) // 2])
        for one in (first, second):
            found = recognise(bytearray(one), memory, lambda section: numbers.get(section, -1))
            if found is None:
                assert one is second or not remembered, "not recognised again"
                continue
            frames, tails = _plain(one)
            ends = np.cumsum([len(frame) + 2 + (len(frame) >= 0x80) for frame in frames])
            assert found.starts.tolist() == [0, *ends.tolist()]
            assert found.numbers.tolist() == [numbers.get(blob) for blob in tails.blobs]
            assert found.newest_ms == int(tails.timestamps_ms.max())
        assert memory.byte_count <= _MOST_BYTES


def _plain(data: bytes) -> tuple[list[bytes], Tails]:
    request = split_request(data)
    assert request.plain
    return request.frames, read_tails(request.frames)


def _remember(memory: Layouts, numbers: dict[bytes, int], data: bytes) -> bool:
    """Remember a request as ingest does, if all its series are plain and valid."""
    try:
        request = split_request(data)
        tails = read_tails(request.frames)
        for blob in tails.blobs:
            parse_labels(blob)
    except WireError:
        return False
    if not request.plain or not request.frames:
        return False
    found = [numbers.setdefault(blob, len(numbers)) for blob in tails.blobs]
    memory.remember(bytearray(data), request.frames, tails.blobs, np.array(found, np.uint16))
    return True

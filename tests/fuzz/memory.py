"""The most that reading an input may take, held to a bound that grows with the input."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

from streams.wire.errors import WireError

# Arrays, classes and what a first call makes.
_ALWAYS_BYTES = 256 * 1024
# A series of two bytes that is at fault has its error, which is a text, and its places in lists and arrays.
_BYTES_A_BYTE = 600


def within(size: int, read: Callable[[], object]) -> None:
    """Read an input of so many bytes.

    Raises:
        AssertionError: it took more memory than an input of this size may.
    """
    tracemalloc.start()
    try:
        with suppress(WireError):
            read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= _ALWAYS_BYTES + _BYTES_A_BYTE * size, f"{peak} bytes of memory for an input of {size}"

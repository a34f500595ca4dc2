"""What one process remembers of 2.0's symbols, so that a known series costs a look-up and not its labels.

References mean something within their own request only. Here every symbol has a number that it keeps, and that no
other one ever gets; so a series' numbers, as bytes, are a key that holds across requests, exact and not merely likely.
Both mappings have two generations, as `agents/ingest/known_series.py` describes: a flood of new symbols costs work
and never more memory.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

import numpy as np
import numpy.typing as npt

from streams.wire.protobuf import encode_bytes

Numbers = npt.NDArray[np.uint32]
Positions = npt.NDArray[np.int32]

# An entry of a mapping, beside its key's and value's own bytes.
_ENTRY_BYTES = 150
# Numbers are four bytes wide: when they are used up, everything is forgotten and they begin again.
_MOST_NUMBERS = (1 << 32) - (1 << 24)
# Series of a request have from some few to some dozen labels.
_FEW_WIDTHS = 24


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """The label symbols of some series by their numbers.

    numbers: of all series in a row. bounds: (n + 1,), where those of each series begin, and the last ones end.
    """

    numbers: Numbers
    bounds: Positions

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def byte_count(self) -> int:
        """What they take."""
        return self.numbers.nbytes + self.bounds.nbytes

    def key(self, index: int) -> bytes:
        """One series' numbers, as bytes."""
        return self.numbers[self.bounds[index] : self.bounds[index + 1]].tobytes()

    def keys(self) -> list[bytes]:
        """The key of each series."""
        counts = np.diff(self.bounds)
        widths = np.unique(counts).tolist()
        if len(widths) > _FEW_WIDTHS:
            content = self.numbers.tobytes()
            return [content[4 * start : 4 * end] for start, end in pairwise(self.bounds.tolist())]
        # Many rows of one width become bytes at once, four times faster than one by one.
        keys = np.empty(len(counts), object)
        for width in widths:
            rows = np.flatnonzero(counts == width)
            places = self.bounds[rows][:, np.newaxis] + np.arange(width)
            keys[rows] = self.numbers[places].view(f"V{4 * width}").ravel().astype(object)
        found: list[bytes] = keys.tolist()
        return found


class _Numbers(dict[bytes, int]):
    """Symbol -> number; a symbol that is asked for and not known gets one, or its old one."""

    def __init__(self, first: int, old: dict[bytes, int]) -> None:
        super().__init__()
        self.next = first
        self.old = old
        self.bytes = 0

    def __missing__(self, symbol: bytes) -> int:
        number = self.old.pop(symbol, None)
        if number is None:
            number, self.next = self.next, self.next + 1
        self[symbol] = number
        self.bytes += len(symbol) + _ENTRY_BYTES
        return number


class SeriesMemory:
    """Label sections by the numbers of their symbols, within bounds.

    most_bytes: what symbols and label sections may take, each in their two generations.
    epoch: changes when numbers begin again, and those given before mean nothing any more.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes // 2
        self._numbers = _Numbers(0, {})
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0
        self.epoch = 0

    def number(self, symbols: Sequence[bytes]) -> Numbers:
        """The numbers of all symbols of one request."""
        numbers = self._numbers
        if numbers.next > _MOST_NUMBERS:
            self._numbers, self._young, self._old, self._young_bytes = _Numbers(0, {}), {}, {}, 0
            self.epoch += 1
        elif numbers.bytes > self._most_bytes:
            self._numbers = _Numbers(numbers.next, dict(numbers))
        return np.frombuffer(array("I", map(self._numbers.__getitem__, symbols)), np.uint32)

    def find(self, keys: Sequence[bytes]) -> list[bytes]:
        """The label sections of all keys; b"" = not known."""
        found = list(map(self._young.get, keys, repeat(b"")))
        if not all(found):
            for index in [index for index, blob in enumerate(found) if not blob]:
                blob = self._old.pop(keys[index], None)
                if blob is not None:
                    self.add(keys[index], blob)
                    found[index] = blob
        return found

    def add(self, key: bytes, blob: bytes) -> None:
        """Remember a label section."""
        if self._young_bytes > self._most_bytes:
            self.age()
        self._young[key] = blob
        self._young_bytes += len(key) + len(blob) + _ENTRY_BYTES

    def age(self) -> None:
        """Forget the label sections that were not asked for since the last call."""
        self._old, self._young, self._young_bytes = self._young, {}, 0


def encode_section(symbols: Sequence[bytes], references: Sequence[int]) -> bytes:
    """The label section that references say; a label with an empty value is absent.

    Args:
        references: name, value, name, value…, each within `symbols`.
    """
    pairs = iter(references)
    return b"".join(
        _encode_label(symbols[name], symbols[value]) for name, value in zip(pairs, pairs, strict=True) if symbols[value]
    )


def _encode_label(name: bytes, value: bytes) -> bytes:
    length, size = len(name), len(value)
    if length + size < 124 and length:
        return b"\x0a%c\x0a%c%b\x12%c%b" % (length + size + 4, length, name, size, value)
    return encode_bytes(1, (encode_bytes(1, name) if name else b"") + encode_bytes(2, value))

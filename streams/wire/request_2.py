"""Remote write 2.0 as 1.0: each series of an `io.prometheus.write.v2.Request` becomes a 1.0 frame.

So nothing behind knows that there are two versions. A series at fault is told apart and the others stay: 2.0 lets a
receiver keep them. Read `plain_2.py` for the hot path, `series_2.py` for the exact one, `symbols.py` for what is
remembered between requests.
"""

from dataclasses import dataclass, field
from operator import add

import numpy as np
from google.protobuf.message import DecodeError

from streams.wire.errors import MalformedError, TooLargeError, WireError
from streams.wire.frames_message import Symbols
from streams.wire.limits import DEFAULT_LIMITS, WireLimits
from streams.wire.plain_2 import MetadataCheck, Plain, read_plain
from streams.wire.protobuf import BYTES, Data, expect_type, walk_fields
from streams.wire.request import may_have_too_many
from streams.wire.samples import Tails
from streams.wire.series_2 import SeriesTranslator
from streams.wire.symbols import Numbers, References, SeriesMemory, encode_section

# What arrays of positions take beside the request, eight bytes for one of it, stays small, and in the CPU's cache.
_SERIES_AT_ONCE = 4_000


@dataclass(frozen=True, slots=True)
class Request2:
    """The parts of a 2.0 request: its symbols, and the bytes of each of its series."""

    symbols: list[bytes]
    series: list[bytes]


@dataclass(frozen=True, slots=True)
class ReadRequest2:
    """A 2.0 request of which the symbols and the first series have been read.

    numbers: of its symbols, those that hold across requests. plain: what is plain among the first series.
    references: of all series by their numbers; None = not all of them are plain, or they are too many.
    """

    request: Request2
    numbers: Numbers
    plain: Plain
    references: References | None


@dataclass(slots=True)
class Translation:
    """A 2.0 request as 1.0.

    frames: one a series, b"" = at fault. tails: what stands at the end of each, as `read_tails` would say.
    faults: what is wrong, by the series' index. exemplars: how many stood in a series, by its index; they are not
    passed on. metadata: series that had some; it is not passed on. label_bytes: of all label sections.
    """

    frames: list[bytes]
    tails: Tails
    faults: dict[int, WireError] = field(default_factory=dict)
    exemplars: dict[int, int] = field(default_factory=dict)
    metadata: int = 0
    label_bytes: int = 0


def split_request_2(data: Data, limits: WireLimits = DEFAULT_LIMITS) -> Request2:
    """The parts of a 2.0 request; the series themselves are not yet read.

    Raises:
        MalformedError: not a request of 2.0.
        TooLargeError: more symbols or series than the limits.
    """
    if may_have_too_many(data, 0x22, 0x2A):
        _walk(data, limits)
    message = Symbols()
    try:
        message.ParseFromString(data)
    except DecodeError:
        _walk(data, limits)  # says where
        raise MalformedError("body is not an io.prometheus.write.v2.Request") from None
    symbols, series = list(message.symbols), list(message.timeseries)
    if len(series) > limits.max_series:
        raise TooLargeError(_too_many_series(limits))
    if len(symbols) > limits.max_symbols:
        raise TooLargeError(_too_many_symbols(limits))
    if not series and not symbols and data:
        _walk(data, limits)  # what 1.0 writes is unknown fields here: say so instead of taking nothing
    return Request2(symbols, series)


def _too_many_series(limits: WireLimits) -> str:
    return f"more than {limits.max_series} series in the request"


def _too_many_symbols(limits: WireLimits) -> str:
    return f"more than {limits.max_symbols} symbols in the request"


def _walk(data: Data, limits: WireLimits) -> None:
    series = symbols = others = 0
    for part in walk_fields(data, 0, len(data)):
        if part.number == 5:
            expect_type(part, BYTES, "a series")
            series += 1
        elif part.number == 4:
            expect_type(part, BYTES, "a symbol")
            symbols += 1
        elif part.number <= 3:
            raise MalformedError(f"byte {part.start}: field {part.number} belongs to remote write 1.0")
        else:
            others += 1
        if series > limits.max_series:
            raise TooLargeError(_too_many_series(limits))
        if symbols > limits.max_symbols:
            raise TooLargeError(_too_many_symbols(limits))
        if others > limits.max_series:
            raise TooLargeError(f"more than {limits.max_series} fields beside series and symbols in the request")


class Translator:
    """Translates requests, one after the other, remembering what they have in common."""

    def __init__(self, memory: SeriesMemory, limits: WireLimits) -> None:
        self._memory = memory
        self._limits = limits
        self._metadata_check = MetadataCheck()

    def read(self, data: Data) -> ReadRequest2:
        """A whole request, not yet translated.

        Raises:
            MalformedError, TooLargeError: nothing of the request can be used.
        """
        request = split_request_2(data, self._limits)
        numbers = self._memory.number(request.symbols)
        plain = self._read_plain(request, 0)
        is_plain = 0 < len(request.series) == len(plain)
        return ReadRequest2(request, numbers, plain, plain.by_number(numbers) if is_plain else None)

    def _read_plain(self, request: Request2, start: int) -> Plain:
        series = request.series[start : start + _SERIES_AT_ONCE]
        return read_plain(series, len(request.symbols), self._limits.max_labels, self._metadata_check)

    def translate(self, read: ReadRequest2) -> Translation:
        """A request that was read.

        Raises:
            TooLargeError: nothing of the request can be used.
        """
        request = read.request
        odd = SeriesTranslator(request.symbols, self._limits)
        result = Translation([], Tails([], np.empty(0), np.empty(0, np.int64)))
        values, times = [result.tails.values], [result.tails.timestamps_ms]
        for start in range(0, len(request.series), _SERIES_AT_ONCE):
            series = request.series[start : start + _SERIES_AT_ONCE]
            plain = self._read_plain(request, start) if start else read.plain
            values.append(plain.values)
            times.append(plain.timestamps_ms)
            self._translate_plain(request.symbols, read.numbers, plain, result, len(series))
            if len(plain) < len(series):
                self._translate_odd(odd, series, start, set(plain.indices()), result)
        for index in result.faults:
            result.frames[index] = result.tails.blobs[index] = b""
        result.tails = Tails(result.tails.blobs, np.concatenate(values), np.concatenate(times))
        return result

    def _translate_plain(
        self, symbols: list[bytes], numbers: Numbers, plain: Plain, result: Translation, count: int
    ) -> None:
        """The plain ones of `count` more series; the places of the others stay empty."""
        sections = self._find_sections(symbols, numbers, plain, result)
        result.metadata += int(np.count_nonzero(plain.has_metadata))
        if len(plain) == count:
            result.tails.blobs.extend(sections)
            result.frames.extend(map(add, sections, plain.tails()))
            return
        blobs, frames = [b""] * count, [b""] * count
        for index, blob, tail in zip(plain.indices(), sections, plain.tails(), strict=True):
            blobs[index], frames[index] = blob, blob + tail
        result.tails.blobs.extend(blobs)
        result.frames.extend(frames)

    def _find_sections(self, symbols: list[bytes], numbers: Numbers, plain: Plain, result: Translation) -> list[bytes]:
        """The label section of each plain series; b"" and a fault where it is too long."""
        keys = plain.by_number(numbers).keys()
        sections = self._memory.find(keys)
        result.label_bytes += sum(map(len, sections))
        for place in [] if all(sections) else [place for place, blob in enumerate(sections) if not blob]:
            references = plain.references(place)
            if self._fits(symbols, references):
                blob = sections[place] = encode_section(symbols, references)
                self._count_labels(blob, result)
                self._memory.add(keys[place], blob)
            else:
                index = len(result.frames) + plain.indices()[place]
                result.faults[index] = TooLargeError(f"series {index + 1}: {_too_many_labels(self._limits)}")
        self._count_labels(b"", result)
        return sections

    def _count_labels(self, blob: bytes, result: Translation) -> None:
        result.label_bytes += len(blob)
        if result.label_bytes > self._limits.max_decoded_bytes:
            raise TooLargeError(f"labels of all series are longer than {self._limits.max_decoded_bytes} bytes")

    def _fits(self, symbols: list[bytes], references: list[int]) -> bool:
        return (
            len(references) <= 2 * self._limits.max_labels
            and sum(len(symbols[reference]) for reference in references) <= self._limits.max_label_bytes
        )

    def _translate_odd(
        self, translator: SeriesTranslator, series: list[bytes], start: int, plain: set[int], result: Translation
    ) -> None:
        for place, one in enumerate(series):
            if place in plain:
                continue
            index = start + place
            try:
                translated = translator.translate(one)
            except WireError as error:
                result.faults[index] = type(error)(f"series {index + 1}: {error}")
                continue
            self._count_labels(translated.blob, result)
            result.frames[index] = translated.frame
            if translated.exemplars:
                result.exemplars[index] = translated.exemplars
            result.metadata += translated.has_metadata


def _too_many_labels(limits: WireLimits) -> str:
    return f"more than {limits.max_labels} labels, or longer ones than {limits.max_label_bytes} bytes"

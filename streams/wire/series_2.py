"""One series of a 2.0 request, whatever its shape: the exact, slow way for what `plain_2.py` does not take.

TimeSeries: labels_refs = 1, samples = 2, histograms = 3, exemplars = 4, metadata = 5, and the start timestamp at 6 in
early release candidates; later ones have it in Sample (3) and Histogram (17). Nobody here needs start timestamps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.frame import encode_sample, read_sample
from streams.wire.limits import WireLimits
from streams.wire.protobuf import BYTES, VARINT, Field, decode_varint, encode_bytes, expect_type, walk_fields
from streams.wire.symbols import encode_section

# A histogram's start timestamp; all its other fields are 1.0's.
_HISTOGRAM_START = 17


@dataclass(frozen=True, slots=True)
class TranslatedSeries:
    """A series as 1.0. blob: its label section, not yet validated. frame: all of it, without exemplars."""

    blob: bytes
    frame: bytes
    exemplars: int
    has_metadata: bool


class SeriesTranslator:
    """Translates the odd series of one request, within the request's limits."""

    def __init__(self, symbols: Sequence[bytes], limits: WireLimits) -> None:
        self._symbols = symbols
        self._limits = limits
        self._left = limits.max_samples

    def translate(self, series: bytes) -> TranslatedSeries:
        """One series.

        Raises:
            MalformedError: not a TimeSeries, or without anything in it, or its references lead nowhere.
            TooLargeError: above a limit.
        """
        references: list[int] = []
        parts: list[bytes] = []
        exemplars = fields = 0
        has_metadata = False
        for field in walk_fields(series, 0, len(series)):
            if field.number == 1:
                self._read_references(series, field, references)
                continue
            fields += 1
            # One field a series does not count, nor does metadata.
            if fields > self._left + 2:
                raise TooLargeError(f"more than {self._limits.max_samples} samples in the request")
            if field.number == 2:
                parts.append(_translate_sample(series, field, len(parts) + 1))
            elif field.number == 3:
                expect_type(field, BYTES, "a histogram")
                parts.append(_translate_histogram(series, field))
            elif field.number == 4:
                self._check_exemplar(series, field)
                exemplars += 1
            elif field.number == 5:
                expect_type(field, BYTES, "metadata")
                walk_metadata(series, field.value, field.end)
                has_metadata |= field.end > field.value
            elif field.number == 6:
                expect_type(field, VARINT, "a start timestamp")
        self._left -= max(fields - 2, 0)
        if not parts and not exemplars:
            raise MalformedError("no sample and no histogram")
        blob = self._encode_labels(references)
        return TranslatedSeries(blob, blob + b"".join(parts), exemplars, has_metadata)

    def _encode_labels(self, references: list[int]) -> bytes:
        if len(references) % 2:
            raise MalformedError(f"{len(references)} label references: a name without a value")
        if sum(len(self._symbols[reference]) for reference in references) > self._limits.max_label_bytes:
            raise TooLargeError(f"labels are longer than {self._limits.max_label_bytes} bytes")
        return encode_section(self._symbols, references)

    def _read_references(self, series: bytes, field: Field, references: list[int]) -> None:
        """Packed or one by one: protobuf allows either."""
        if field.wire_type == VARINT:
            self._add_reference(field.value, references)
            return
        expect_type(field, BYTES, "label references")
        at = field.value
        while at < field.end:
            reference, at = decode_varint(series, at, field.end)
            self._add_reference(reference, references)

    def _add_reference(self, reference: int, references: list[int]) -> None:
        if reference >= len(self._symbols):
            raise MalformedError(f"a label refers to symbol {reference}, there are {len(self._symbols)}")
        references.append(reference)
        if len(references) > 2 * self._limits.max_labels:
            raise TooLargeError(f"more than {self._limits.max_labels} labels")

    def _check_exemplar(self, series: bytes, exemplar: Field) -> None:
        expect_type(exemplar, BYTES, "an exemplar")
        references: list[int] = []
        for field in walk_fields(series, exemplar.value, exemplar.end):
            if field.number == 1:
                self._read_references(series, field, references)
        if len(references) % 2:
            raise MalformedError("an exemplar has a label name without a value")


def _translate_sample(series: bytes, sample: Field, count: int) -> bytes:
    timestamp_ms, value = read_sample(series, sample, count)
    for field in walk_fields(series, sample.value, sample.end):
        if field.number == 3:
            expect_type(field, VARINT, f"start timestamp of sample {count}")
    return encode_sample(timestamp_ms, value)


def _translate_histogram(series: bytes, histogram: Field) -> bytes:
    kept: list[bytes] = []
    for field in walk_fields(series, histogram.value, histogram.end):
        if field.number == _HISTOGRAM_START:
            expect_type(field, VARINT, "start timestamp of a histogram")
        else:
            kept.append(series[field.start : field.end])
    return encode_bytes(4, b"".join(kept))


def walk_metadata(data: bytes, at: int, end: int) -> None:
    """Check the form of metadata; nobody here uses it.

    Raises:
        MalformedError: not metadata.
    """
    for field in walk_fields(data, at, end):
        if field.number in {1, 3, 4}:
            expect_type(field, VARINT, "a field of metadata")

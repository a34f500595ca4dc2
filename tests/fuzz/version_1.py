"""The fuzz target of remote write 1.0: what must hold for any bytes, as a body and as the message in it."""

import struct

import cramjam

from streams.wire.encode import encode_frame
from streams.wire.errors import TooLargeError, WireError
from streams.wire.frame import Frame, with_labels, without_exemplars
from streams.wire.labels import encode_labels
from streams.wire.protobuf import encode_bytes
from streams.wire.request import Request, compress, decompress, join_series, split_request
from streams.wire.samples import FrameReader, read_samples, read_tails
from tests.fuzz.memory import within
from tests.fuzz.reference import LIMITS, JudgedRequest, Series, judge_1, normal
from tests.unit.write_request_2 import Histogram


def check(data: bytes, *, measured: bool = True) -> None:
    """Raise for anything that must not be.

    Args:
        measured: hold the memory of it to its bound, too; several times slower.
    """
    _check_body(data)
    judged = judge_1(data)
    try:
        if measured:
            within(len(data), lambda: _read(data))
        request, frames = _read(data)
    except WireError as error:
        _check_refusal(judged, error)
        return
    assert judged is not None, "taken, though protobuf does not read it"
    assert [one.fault for one in judged.series] == [""] * len(frames)
    assert [series_of(frame) for frame in frames] == [one.series for one in judged.series]
    assert judged.metadata[0] == request.metadata
    assert not request.plain or join_series(request.frames) == data
    _check_ways(request, frames)


def _check_refusal(judged: JudgedRequest | None, error: WireError) -> None:
    """Refused for a reason; what is not written in protobuf's own way may always be."""
    if judged is None or not judged.is_plain:
        return
    if isinstance(error, TooLargeError):
        assert judged.may_be_too_large(), f"refused as too large: {error}"
    else:
        faults = any(one.fault or (one.series and one.series.histograms) for one in judged.series)
        assert faults, f"refused without a reason: {error}"


def series_of(frame: Frame) -> Series:
    """What the product read, as the reference lists it."""
    return Series(
        frame.labels,
        tuple((at, struct.pack("<d", value)) for at, value in zip(frame.timestamps_ms, frame.values, strict=True)),
        tuple(normal(Histogram.FromString(one.SerializeToString())) for one in frame.native),
        frame.exemplars,
    )


def read_frames(frames: list[bytes]) -> list[Frame]:
    """All frames of a request, each in the way that it asks for."""
    reader = FrameReader(read_tails(frames), LIMITS)
    return [reader.read(frames, index) for index in range(len(frames))]


def _read(data: bytes) -> tuple[Request, list[Frame]]:
    request = split_request(data, LIMITS)
    return request, read_frames(request.frames)


def _check_body(body: bytes) -> None:
    try:
        content = decompress(body, LIMITS)
    except WireError:
        return
    assert len(content) <= LIMITS.max_decoded_bytes
    assert content == bytes(cramjam.snappy.decompress_raw(body))
    assert decompress(compress(bytes(content)), LIMITS) == content


def _check_ways(request: Request, frames: list[Frame]) -> None:
    """Known or new, cut or written again: a frame says the same."""
    blobs = [frame.blob for frame in frames]
    new, known = (read_samples(request.frames, seen, LIMITS) for seen in (frozenset[bytes](), set(blobs)))
    for batch in (new, known):
        assert batch.blobs == blobs
        assert batch.timestamps_ms.tolist() == [at for frame in frames for at in frame.timestamps_ms]
        assert batch.values.tobytes() == b"".join(struct.pack("<d", one) for frame in frames for one in frame.values)
        assert batch.series.tolist() == [place for place, frame in enumerate(frames) for _ in frame.values]
    wanted = [(*_says(frame), 0) for frame in frames]
    for written in (
        [_write(frame) for frame in frames],
        [without_exemplars(frame) for frame in request.frames],
        [
            without_exemplars(with_labels(frame, encode_labels(dict(one.labels))))
            for frame, one in zip(request.frames, frames, strict=True)
        ],
    ):
        again = read_frames(split_request(join_series(written), LIMITS).frames)
        assert [(*_says(frame), frame.exemplars) for frame in again] == wanted


def _says(frame: Frame) -> tuple[object, ...]:
    series = series_of(frame)
    return series.labels, series.samples, series.histograms


def _write(frame: Frame) -> bytes:
    samples = zip(frame.timestamps_ms, frame.values, strict=True)
    histograms = b"".join(encode_bytes(4, one.SerializeToString()) for one in frame.native)
    return encode_frame(dict(frame.labels), samples) + histograms

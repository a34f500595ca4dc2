"""The fuzz target of remote write 2.0: it becomes 1.0 as a plain reference says, whatever is remembered from before."""

from unittest.mock import patch

from streams.wire import request_2
from streams.wire.errors import TooLargeError, WireError
from streams.wire.frame import Frame
from streams.wire.request_2 import Translation, Translator
from streams.wire.samples import FrameReader
from streams.wire.symbols import SeriesMemory
from tests.fuzz.memory import within
from tests.fuzz.reference import LIMITS, Judged, JudgedRequest, has_metadata, judge_2
from tests.fuzz.version_1 import series_of
from tests.unit.write_request_2 import Parts, message_of

# Symbols and series of an earlier request, whose numbers must not be taken for others.
_EARLIER = message_of(
    [
        ({"__name__": "a", "b": "c"}, [(1_764_000_000_000, 1.0)]),
        ({"__name__": "up", "job": "a"}, [(1_764_000_000_000, 1.0)]),
        ({"__name__": "http_requests_total", "service": "auth-service"}, [(1_764_000_000_000, 0.0)]),
    ]
).SerializeToString()


def check(data: bytes, *, measured: bool = True) -> None:
    """Raise for anything that must not be.

    Args:
        measured: hold the memory of it to its bound, too; several times slower.
    """
    judged = judge_2(data)
    # Series are read some at a time: a few inputs' series already are several parts.
    with patch.object(request_2, "_SERIES_AT_ONCE", 3):
        translator, warm = _translator(), _translator()
        try:
            if measured:
                within(len(data), lambda: _translate(_translator(), data))
            first = _translate(translator, data)
        except WireError as error:
            _check_refusal(judged, error)
            return
        _translate(warm, _EARLIER)
        results = [first, _translate(translator, data), _translate(warm, data)]
    assert judged is not None, "taken, though protobuf does not read it"
    read = [_read(result) for result in results]
    assert read[0][1] == read[1][1] == read[2][1]
    assert _told(first) == _told(results[1]) == _told(results[2])
    _check_result(judged, first, *read[0])
    taken = [part for place, part in enumerate(Parts.FromString(data).timeseries) if place in read[0][0]]
    assert sum(map(has_metadata, taken)) <= first.metadata <= len(judged.series)


def _translator() -> Translator:
    return Translator(SeriesMemory(1 << 20), LIMITS)


def _translate(translator: Translator, data: bytes) -> Translation:
    return translator.translate(translator.read(data))


# What a first call loads is not an input's memory.
_translate(_translator(), _EARLIER)


def _told(result: Translation) -> tuple[object, ...]:
    return result.frames, result.exemplars, result.metadata, {place: str(one) for place, one in result.faults.items()}


def _read(result: Translation) -> tuple[dict[int, Frame], dict[int, str]]:
    """The frames that can be taken, and what is wrong with the others, as the sorter finds it."""
    reader = FrameReader(result.tails, LIMITS)
    faults: dict[int, WireError] = dict(result.faults)
    good: dict[int, Frame] = {}
    for index in set(range(len(result.frames))) - result.faults.keys():
        try:
            good[index] = reader.read(result.frames, index)
        except WireError as error:
            faults[index] = error
    return good, {index: f"{type(error).__name__}: {error}" for index, error in sorted(faults.items())}


def _check_result(judged: JudgedRequest, result: Translation, good: dict[int, Frame], faults: dict[int, str]) -> None:
    for index, one in enumerate(judged.series):
        if index in faults:
            _check_fault(judged, one, faults[index])
            continue
        frame = good[index]
        assert one.fault == "", f"series {index + 1} taken, though: {one.fault}"
        assert one.series is not None
        found = series_of(frame)
        assert frame.exemplars == 0
        assert (found.labels, found.samples, found.histograms) == (
            one.series.labels,
            one.series.samples,
            one.series.histograms,
        )
        assert result.exemplars.get(index, 0) == one.series.exemplars


def _check_fault(judged: JudgedRequest, one: Judged, text: str) -> None:
    if not one.is_plain:
        return
    if text.startswith(TooLargeError.__name__):
        assert judged.may_be_too_large(), f"refused as too large: {text}"
    else:
        assert one.fault or (one.series and one.series.histograms), f"refused without a reason: {text}"


def _check_refusal(judged: JudgedRequest | None, error: WireError) -> None:
    if judged is None or not judged.is_plain:
        return
    assert isinstance(error, TooLargeError), f"refused without a reason: {error}"
    assert judged.may_be_too_large(), f"refused as too large: {error}"

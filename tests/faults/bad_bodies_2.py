"""Bodies of remote write 2.0 that a sender should not have sent, from one seed, and an independent judge of each.

The judge is protobuf's own parser on the official message, and the rules of references and labels written out once
more.
"""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cramjam
from google.protobuf.message import DecodeError

from tests.faults.bad_bodies import (
    MAX_DECODED,
    NOW_MS,
    Body,
    Sample,
    Verdict,
    _has_unknown,
    _labels_are_good,
    compress,
)
from tests.unit.write_request_2 import HEADERS, Parts, RawRequest, TimeSeries


@dataclass
class Judgement:
    """What must come of a body. bad: series at fault. certain: the samples of the others."""

    verdict: Verdict
    bad: int = 0
    samples: list[Sample] = field(default_factory=list)


def judge(body: bytes) -> Judgement:
    """Whether a body is a 2.0 request, and the samples of its good series."""
    try:
        if cramjam.snappy.decompress_raw_len(body) > MAX_DECODED:
            return Judgement("bad")
        data = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        return Judgement("bad")
    if len(data) > 1 << 20:
        return Judgement("bad")  # by construction: no good body is so large
    message = Parts()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return Judgement("bad")
    result = Judgement("strange" if _has_unknown(message) else "good")
    for part in message.timeseries:
        series = TimeSeries()
        try:
            series.ParseFromString(part)
        except DecodeError:
            result.bad += 1
            continue
        if _has_unknown(series):
            result.verdict = "strange"
        labels = _labels_of(series, message.symbols)
        if labels is None or not (series.samples or series.exemplars):
            result.bad += 1
            continue
        kept = tuple(sorted(pair for pair in labels if pair[1]))
        result.samples += [(kept, s.timestamp, struct.pack("<d", s.value)) for s in series.samples]
    return result


def _labels_of(series: Any, symbols: list[bytes]) -> list[tuple[str, str]] | None:
    refs = list(series.labels_refs)
    exemplar_refs = [ref for one in series.exemplars for ref in one.labels_refs]
    if any(len(one.labels_refs) % 2 for one in series.exemplars):
        return None
    if len(refs) % 2 or any(ref >= len(symbols) for ref in (*refs, *exemplar_refs)):
        return None
    try:
        texts = [symbols[ref].decode() for ref in refs]
    except UnicodeDecodeError:
        return None
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    # A pair without a value is no label at all, whatever its name is.
    return pairs if _labels_are_good([pair for pair in pairs if pair[1]]) else None


class Generator:
    """Bodies from one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._makers: dict[str, Callable[[], bytes]] = {
            "truncated body": lambda: self._cut(compress(self._request())),
            "truncated message": lambda: compress(self._cut(self._request())),
            "flipped body": lambda: self._flip(compress(self._request())),
            "flipped message": lambda: compress(self._flip(self._request())),
            "random message": lambda: compress(self._rng.randbytes(self._rng.randrange(400))),
            "bad series": lambda: compress(self._request(bad=True)),
            "repeated request": lambda: compress(self._request() * 2),
            "small bomb": lambda: compress(self._rng.choice((b"\x2a\x00", b"\x22\x00")) * 600_000),
            "long labels": lambda: compress(self._long_labels()),
            "good": lambda: compress(self._request()),
        }

    def _request(self, *, bad: bool = False) -> bytes:
        rng = self._rng
        message = RawRequest(symbols=[b"", b"__name__", b"http_requests_total", b"service", b"auth-service", b"pod"])
        for _ in range(rng.randrange(1, 5)):
            self._add(message, [1, 2, 3, 4, 5, self._symbol(message, b"pod-%d" % rng.randrange(40))])
        if bad:
            self._add(message, self._bad_references(message))
        return bytes(message.SerializeToString())

    def _symbol(self, message: Any, text: bytes) -> int:
        message.symbols.append(text)
        return len(message.symbols) - 1

    def _add(self, message: Any, references: list[int]) -> None:
        rng = self._rng
        one = message.timeseries.add(labels_refs=references)
        for _ in range(rng.choice((1, 1, 1, 2))):
            one.samples.add(timestamp=NOW_MS + rng.randrange(3_600_000), value=rng.choice((0.0, rng.random())))
        if rng.random() < 0.3:
            one.samples[0].start_timestamp = NOW_MS - 1
        if rng.random() < 0.5:
            one.metadata.type, one.metadata.help_ref = 1, rng.randrange(6)
        if rng.random() < 0.1:
            one.exemplars.add(labels_refs=[1, 2], value=1.0)
        if rng.random() < 0.1:
            one.created_timestamp = NOW_MS - 1

    def _bad_references(self, message: Any) -> list[int]:
        rng, name = self._rng, [1, 2]
        return rng.choice(
            (
                [],
                [5, 4],
                [*name, 5],
                [*name, 5, 99],
                [*name, 5, (1 << 32) - 1],
                [*name, *name],
                [*name, 0, 4],
                [*name, 5, self._symbol(message, b"\xff\xfe")],
                [*name, *(ref for n in range(65) for ref in (self._symbol(message, b"l%d" % n), 4))],
                [*name, 5, self._symbol(message, b"x" * 17_000)],
                [1, 0],
            )
        )

    def _long_labels(self) -> bytes:
        message = RawRequest(symbols=[b"", b"__name__", b"x" * 16_000])
        for _ in range(2_200):
            self._add(message, [1, 2])
        return bytes(message.SerializeToString())

    def _cut(self, data: bytes) -> bytes:
        return data[: self._rng.randrange(len(data))]

    def _flip(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        for _ in range(self._rng.choice((1, 1, 2, 5))):
            damaged[self._rng.randrange(len(damaged))] ^= 1 << self._rng.randrange(8)
        return bytes(damaged)

    def bodies(self, count: int) -> Iterator[Body]:
        """So many bodies, all kinds in turn."""
        kinds = list(self._makers)
        for number in range(count):
            kind = kinds[number % len(kinds)]
            if kind in {"small bomb", "long labels"} and number % 200 > len(kinds):
                kind = "bad series"  # bombs cost us time, not only ingest
            yield Body(f"2.0 {kind}", self._makers[kind](), HEADERS)

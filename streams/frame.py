"""The frame: every indicator's value of one partition at one step. What Meter gives and Judge takes.

JSON on the `driftline.indicators` topic, one message a partition and step.
"""

import re
from collections.abc import Mapping

import msgspec

_PAIR = re.compile(r'([^=,{}"]+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Points(msgspec.Struct, frozen=True):
    """Columns of equal length, one row an indicator.

    id: indicator ids, `service/name` or `service/name{label="value"}`.
    value: the PromQL value in the indicator's own unit; None = no data (absent or NaN).
    weight: how many events stand behind the value (requests in the window); None = not known.
    """

    id: list[str]
    value: list[float | None]
    weight: list[float | None]


class Baselines(msgspec.Struct, frozen=True):
    """What the Judge takes for usual, in columns beside the points; None = not known yet.

    expected: in the indicator's unit, at this step. spread: usual standard deviation relative to it, ratio.
    rung: how much stands behind it. season: whose rhythm, "day" or "week".
    """

    expected: list[float | None]
    spread: list[float | None]
    rung: list[str]
    season: list[str | None]


class IndicatorFrame(msgspec.Struct, frozen=True):
    """All points of one partition at one step.

    at: the step, Unix ms, a multiple of `step`.
    step: evaluation step, ms.
    baselines: once a minute, when the frame has been judged.
    """

    at: int
    step: int
    points: Points
    schema: int = 1
    baselines: Baselines | msgspec.UnsetType = msgspec.UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(IndicatorFrame)


def encode_frame(frame: IndicatorFrame) -> bytes:
    """The frame as JSON. Values must be finite or None: JSON has no NaN."""
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> IndicatorFrame:
    """The frame of a record of the indicators topic.

    Raises:
        msgspec.ValidationError: not a frame of schema 1.
    """
    return _decoder.decode(data)


def point_id(query_id: str, labels: Mapping[str, str]) -> str:
    r"""The id of one element of a query's result: labels sorted by name, values escaped as Prometheus does.

    >>> point_id("api/latency", {"route": "/", "code": "200"})
    'api/latency{code="200",route="/"}'
    >>> point_id("api/latency", {})
    'api/latency'
    """
    if not labels:
        return query_id
    pairs = (
        f'{name}="{value}"'
        for name, value in sorted(
            (n, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for n, v in labels.items()
        )
    )
    return f"{query_id}{{{','.join(pairs)}}}"


def split_point_id(text: str) -> tuple[str, dict[str, str]]:
    """The query's id and the labels of a point: the inverse of `point_id`.

    >>> split_point_id('api/latency{code="200"}')
    ('api/latency', {'code': '200'})
    """
    query_id, _, rest = text.partition("{")
    unescaped = (
        (name, re.sub(r'\\[\\"n]', lambda escape: _ESCAPES[escape[0]], value)) for name, value in _PAIR.findall(rest)
    )
    return query_id, dict(unescaped)

"""The notation of test files: what each form stands for, as promtool documents it, and what is none."""

import math
import struct

import pytest

from streams.promql.histogram_notation import HistogramSample, NativeHistogram, parse_histogram
from streams.promql.series_notation import MOST_VALUES, NotationError, parse_metric, parse_values
from streams.wire.samples import STALE_NAN, STALE_NAN_BITS


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("-2+4x3", [-2, 2, 6, 10]),
        (" 1-2x4", [1, -1, -3, -5, -7]),
        (" 1x4", [1, 1, 1, 1, 1]),
        ("1 _x3 2", [1, None, None, None, 2]),
        ("_ _", [None, None]),
        ("_x0 1x0", [1]),
        ("", []),
        ("  1   2\n3\t", [1, 2, 3]),
        ("0x10", [0] * 11),  # no hexadecimal number here
        (".5+.25x2", [0.5, 0.75, 1.0]),
        ("1e3+1E-1x1 5.", [1000, 1000.1, 5]),
        ("+3 -Inf inf +INF", [3, -math.inf, math.inf, math.inf]),
        ("1+Infx1", [1, math.inf]),
        ("-1+1x2", [-1, 0, 1]),
    ],
)
def test_values_expand_as_promtool_says(text: str, values: list[float | None]) -> None:
    assert parse_values(text) == values


def test_increments_are_summed_up_not_multiplied() -> None:
    total = 0.0
    for value in parse_values("0+0.1x100"):
        assert value == total
        total += 0.1
    assert total != 0.1 * 101


def test_stale_is_the_marker_itself_and_nan_is_another_number() -> None:
    stale, number = parse_values("stale nan")
    assert isinstance(stale, float)
    assert isinstance(number, float)
    assert struct.pack("<d", stale) == struct.pack("<Q", STALE_NAN_BITS) == struct.pack("<d", STALE_NAN)
    assert math.isnan(number)
    assert struct.pack("<d", number) != struct.pack("<d", stale)


@pytest.mark.parametrize(
    "text",
    [
        "1+2",
        "1x",
        "1x2.5",
        "x3",
        "Stale",
        "stalex2",
        "1,2",
        "0xfx2",
        "1+2x-3",
        "_+1x2",
        "- 1",
        "{{",
        "{{}}x",
        "{{}}+{{}}",
    ],
)
def test_what_is_no_value_is_named(text: str) -> None:
    with pytest.raises(NotationError):
        parse_values(text)


def test_a_value_that_would_not_fit_into_memory_is_refused_before_it_is_expanded() -> None:
    for text in ("1x99999999999", "_x1000001", "1x600000 1x600000", "{{}}x99999999999"):
        with pytest.raises(NotationError, match=str(MOST_VALUES)):
            parse_values(text)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", {}),
        ("{}", {}),
        ("up", {"__name__": "up"}),
        (" job:errors:ratio {} ", {"__name__": "job:errors:ratio"}),
        ('up{job="api", instance="a:1",}', {"__name__": "up", "job": "api", "instance": "a:1"}),
        ("{job='a\"b'}", {"job": 'a"b'}),
        (r'{a="x\"y\\z\n\x41\u00e9\101"}', {"a": 'x"y\\z\nAéA'}),
        (r"{a=`x\n`}", {"a": r"x\n"}),
        ('{"http.requests", "server.name"="x"}', {"__name__": "http.requests", "server.name": "x"}),
        ('{a="}{,="}', {"a": "}{,="}),
        ('{a=""}', {}),
    ],
)
def test_a_series_is_its_labels(text: str, labels: dict[str, str]) -> None:
    assert dict(parse_metric(text)) == labels


@pytest.mark.parametrize(
    "text",
    ['up{job="a"', "up{job}", "up{job=a}", 'up{1="a"}', 'up{a="1" b="2"}', 'up{a="1",a="2"}', "up x", '{a="\\q"}',
     '{a="\\ud800"}', 'up{__name__="down"}', "{,}"],
)  # fmt: skip
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        parse_metric(text)


def test_a_native_histogram_is_read_part_by_part() -> None:
    text = (
        "{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 "
        "n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}}"
    )
    assert parse_histogram(text) == NativeHistogram(
        schema=1, sum=-0.3, count=3.1, z_bucket=7.1, z_bucket_w=0.05, buckets=(5.1, 10, 7), offset=-3,
        n_buckets=(4.1, 5), n_offset=-5, counter_reset_hint="gauge",
    )  # fmt: skip
    assert parse_histogram("{{ }}") == parse_histogram("{{}}") == NativeHistogram()
    assert parse_histogram("{{schema:-53 custom_values:[5 10] buckets:[1 2 3]}}").custom_values == (5, 10)


def test_native_histograms_expand_like_numbers() -> None:
    one, two = NativeHistogram(count=1), NativeHistogram(count=2)
    assert parse_values("{{count:1}}") == [HistogramSample(one)]
    assert parse_values("3 {{count:1}}x1 _") == [3, HistogramSample(one), HistogramSample(one), None]
    assert parse_values("{{count:1}}-{{count:2}}x2") == [HistogramSample(one, two, -factor) for factor in range(3)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{shape:1}}", "unknown part shape"),
        ("{{schema:9}}", "expected -4 to 8"),
        ("{{schema:1.5}}", "expected a whole number"),
        ("{{sum:much}}", "expected a number"),
        ("{{buckets:[]}}", "expected numbers in brackets"),
        ("{{buckets:5}}", "expected numbers in brackets"),
        ("{{counter_reset_hint:never}}", "expected one of gauge"),
        ("{{sum:1 sum:2}}", "twice"),
        ("{{sum}}", "expected a part"),
    ],
)
def test_what_is_no_native_histogram_is_said(text: str, reason: str) -> None:
    with pytest.raises(NotationError, match=reason):
        parse_values(text)

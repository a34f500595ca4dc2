"""The notation of test files: what each form stands for, as promtool documents it, and what is none."""

import math
import struct

import pytest

from budgets.unit_test.compare import agree, histogram_text
from streams.native.histogram import NativeHistogram
from streams.promql.histogram_notation import WrittenHistogram, parse_histogram
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
    assert parse_histogram(text) == WrittenHistogram(
        schema=1, sum=-0.3, count=3.1, z_bucket=7.1, z_bucket_w=0.05, buckets=(5.1, 10, 7), offset=-3,
        n_buckets=(4.1, 5), n_offset=-5, counter_reset_hint="gauge",
    )  # fmt: skip
    assert parse_histogram("{{ }}") == parse_histogram("{{}}") == WrittenHistogram()
    assert parse_histogram("{{schema:-53 custom_values:[5 10] buckets:[1 2 3]}}").custom_values == (5, 10)


def test_what_is_written_is_what_is_measured() -> None:
    text = "{{schema:1 count:9 sum:-2 z_bucket:1 z_bucket_w:0.5 offset:-2 buckets:[1 0 2] n_offset:3 n_buckets:[0.5]}}"
    histogram = parse_histogram(text).measured()
    assert histogram.positive.indices.tolist() == [-2, -1, 0]
    assert histogram.positive.counts.tolist() == [1, 0, 2]
    assert histogram.negative.indices.tolist() == [3]
    assert (histogram.schema, histogram.count, histogram.sum, histogram.hint) == (1, 9, -2, "unknown")
    assert histogram_text(histogram) == text
    custom = "{{schema:-53 count:3 sum:4 custom_values:[0.5 1] counter_reset_hint:gauge offset:1 buckets:[1 2]}}"
    assert histogram_text(parse_histogram(custom).measured()) == custom
    assert histogram_text(parse_histogram("{{buckets:[0 0]}}").measured()) == "{{}}"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("{{count:1}}", ["{{count:1}}"]),
        ("3 {{count:1}}x1 _", [3, "{{count:1}}", "{{count:1}}", None]),
        (
            "{{count:9 sum:4 buckets:[5 4]}}-{{count:2 sum:1 buckets:[2]}}x2",
            ["{{count:9 sum:4 buckets:[5 4]}}", "{{count:7 sum:3 buckets:[3 4]}}", "{{count:5 sum:2 buckets:[1 4]}}"],
        ),
        (
            "{{schema:0 count:1 offset:1 buckets:[1]}}+{{schema:1 count:2 offset:2 buckets:[1 1]}}x1",
            ["{{count:1 offset:1 buckets:[1]}}", "{{count:3 offset:1 buckets:[2 1]}}"],
        ),
    ],
)
def test_native_histograms_expand_like_numbers(text: str, expanded: list[str | float | None]) -> None:
    values = parse_values(text)
    assert [histogram_text(value) if isinstance(value, NativeHistogram) else value for value in values] == expanded


@pytest.mark.parametrize(
    "text",
    [
        "{{schema:1 buckets:[1]}}+{{schema:0 buckets:[1]}}x1",  # finer than what is added
        "{{buckets:[1]}}+{{schema:-53 custom_values:[1] buckets:[1]}}x1",
    ],
)
def test_histograms_that_do_not_fit_together_are_refused(text: str) -> None:
    with pytest.raises(NotationError, match="cannot be added up"):
        parse_values(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("{{count:1 buckets:[1]}}", "{{count:1 buckets:[1 0 0]}}", True),
        ("{{count:1 buckets:[1]}}", "{{count:1 buckets:[0 1] offset:-1}}", True),
        ("{{count:1 buckets:[1]}}", "{{count:1 buckets:[1] counter_reset_hint:reset}}", True),
        ("{{count:1 buckets:[1]}}", "{{count:1 buckets:[1] counter_reset_hint:gauge}}", False),
        ("{{count:1 buckets:[1]}}", "{{count:1 buckets:[1] offset:1}}", False),
        ("{{count:1 buckets:[1]}}", "{{count:1 n_buckets:[1]}}", False),
        ("{{count:1 buckets:[1]}}", "{{count:1.0000000001 buckets:[1]}}", True),
        ("{{count:1 buckets:[1]}}", "{{count:1.00001 buckets:[1]}}", False),
        ("{{sum:nan}}", "{{sum:nan}}", True),
        ("{{schema:1}}", "{{schema:2}}", False),
        ("{{schema:-53 custom_values:[1]}}", "{{schema:-53 custom_values:[2]}}", False),
        ("{{schema:-53 custom_values:[1]}}", "{{schema:-53 custom_values:[1 2]}}", False),
        ("{{z_bucket_w:1}}", "{{z_bucket_w:2}}", False),
    ],
)
def test_histograms_agree_when_all_their_numbers_do(one: str, other: str, same: bool) -> None:
    first, second = (parse_histogram(text).measured() for text in (one, other))
    assert agree(first, second) is agree(second, first) is same
    assert not agree(first, 1.0)


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
        ("{{offset:99999999}}", "expected at most"),
        ("{{z_bucket_w:nan}}", "expected a number from 0 on"),
        ("{{z_bucket_w:-1}}", "expected a number from 0 on"),
        ("{{schema:-53 custom_values:[1] buckets:[1 1 1]}}", "1 custom_values bound 2 of them"),
        ("{{schema:-53 custom_values:[1] offset:-1 buckets:[1 1]}}", "1 custom_values bound 2 of them"),
        ("{{sum:1 sum:2}}", "twice"),
        ("{{sum}}", "expected a part"),
    ],
)
def test_what_is_no_native_histogram_is_said(text: str, reason: str) -> None:
    with pytest.raises(NotationError, match=reason):
        parse_values(text)

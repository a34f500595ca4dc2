"""The same test files given to the real promtool and to `driftline budgets test`: both pass, or both fail."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.cli.budgets import app
from tests.servers.tools import find_program

pytestmark = pytest.mark.integration

# Everything the notation knows, and what depends on when a sample is there.
SERIES = r"""
      - {series: 'hits_total{job="a",code="200"}', values: '0+60x10 5+30x10'}
      - {series: 'hits_total{job="a",code="500"}', values: '_x3 1+1x4 stale _ 7x2'}
      - {series: 'hits_total{job="b",code="200"}', values: '1e2-0.5x4 _x8 3'}
      - {series: "load{path='a\"b\\\\c'}", values: '-1.5 NaN Inf -Inf 0x10'}
      - {series: 'tenths', values: '0+0.1x20'}
      - {series: '{"dotted.name","some.label"="x y"}', values: '0x5 .5 5.'}
      - {series: 'lat_bucket{le="0.1"}', values: '0+3x20'}
      - {series: 'lat_bucket{le="0.5"}', values: '0+8x20'}
      - {series: 'lat_bucket{le="+Inf"}', values: '0+10x20'}
      - series: 'took{job="a"}'
        values: '{{schema:1 sum:3 count:4 z_bucket:1 z_bucket_w:0.001 buckets:[1 1 1]}}+{{schema:1 sum:6 count:8
          z_bucket:2 z_bucket_w:0.001 buckets:[2 2 2]}}x20'
      - series: 'took{job="b"}'
        values: '{{sum:-3 count:6 buckets:[1 2] offset:-1 n_buckets:[3]}}+{{schema:1 sum:1 count:2 buckets:[1 0 1]}}x9
          _x2 {{count:2 sum:1 buckets:[2]}}x5'
      - series: sizes
        values: '{{schema:-53 sum:9 count:4 custom_values:[1 5 10] buckets:[1 2 0 1]}}x3
          {{schema:-53 sum:30 count:9 custom_values:[1 10] buckets:[1 2 6]}}-{{schema:-53 sum:1 count:1
          custom_values:[1 10] buckets:[0 0 1]}}x4'
      - series: level
        values: '{{sum:4 count:2 buckets:[1 1] counter_reset_hint:gauge}}x3 5
          {{sum:8 count:4 buckets:[2 2] counter_reset_hint:gauge}}x3'
      - series: again
        values: '{{sum:4 count:4 buckets:[4]}}x3 {{sum:4 count:4 buckets:[4] counter_reset_hint:reset}}x3 stale'
"""
AGREED = [
    ("hits_total", "2m", {'hits_total{job="a",code="200"}': "120", 'hits_total{job="b",code="200"}': "99"}),
    ("sum(hits_total)", "3m59s", {"": "279.5"}),
    ("rate(hits_total[5m])", "5m", {'{job="a",code="200"}': "1", '{job="a",code="500"}': "0.008333333333333333",
                                    '{job="b",code="200"}': "1.6416666666666666"}),
    ('hits_total{code="500"}', "8m", {}),
    ('hits_total{code="500"}', "10m30s", {'hits_total{code="500",job="a"}': "7"}),
    ("-tenths", "3m", {"{}": "-0.30000000000000004"}),
    ("load", "2m", {r'load{path="a\"b\\c"}': ".inf"}),
    ("load * -1", "2m", {r'{path="a\"b\\c"}': "-.inf"}),
    ("load > 0 or load < 0", "1m", {}),
    ('{"dotted.name"}', "6m", {'{"dotted.name","some.label"="x y"}': "0.5"}),
    ('{"dotted.name"}', "14m", {}),
    ("count by (job) (hits_total) > bool 1", "4m", {'{job="a"}': "1", '{job="b"}': "0"}),
    ("histogram_quantile(0.5, rate(lat_bucket[4m])) * 1000", "10m", {"{}": "260.00000000000006"}),
    ("1 + 2 * 3", "0", {"{}": "7"}),
    ("vector(1) / 0", "0", {"{}": ".inf"}),
    ("nothing", "5m", {}),
    ("histogram_count(took)", "3m", {'{job="a"}': "28", '{job="b"}': "12"}),
    ("histogram_sum(sum(took))", "3m", {"{}": "21"}),
    ("histogram_avg(rate(took[4m]))", "8m", {'{job="a"}': "0.75", '{job="b"}': "0.5"}),
    ("histogram_quantile(0.5, sum(rate(took[5m])))", "9m", {"{}": "1"}),
    ("histogram_fraction(0, 1, took)", "1m", {'{job="a"}': "0.5", '{job="b"}': "0.5"}),
    ("histogram_stddev(level)", "1m", {"{}": "1.0036729113016427"}),
    ("histogram_stdvar(sizes)", "1m", {"{}": ".inf"}),
    ("count_values('what', sizes)", "2m", {'{what="{count:4, sum:9, [-Inf,1]:1, (1,5]:2, (10,+Inf]:1}"}': "1"}),
    ("resets(again[7m])", "6m", {"{}": "0"}),  # only numbers tell: a stored hint is not believed
    ("resets(took[20m])", "18m", {'{job="a"}': "0", '{job="b"}': "1"}),
    ("changes(level[7m])", "7m", {"{}": "2"}),
    ("rate(level[5m])", "6m", {}),
    ("again", "8m", {}),
    ("took > 1", "3m", {}),
]  # fmt: skip
# Histograms as results.
AGREED_HISTOGRAMS = [
    ("irate(took[4m])", "8m", {
        '{job="a"}': "{{schema:1 count:0.13333333333333333 sum:0.1 z_bucket:0.03333333333333333 z_bucket_w:0.001 "
                     "counter_reset_hint:gauge buckets:[0.03333333333333333 0.03333333333333333 0.03333333333333333]}}",
        '{job="b"}': "{{count:0.03333333333333333 sum:0.016666666666666666 counter_reset_hint:gauge "
                     "buckets:[0.016666666666666666 0.016666666666666666]}}",
    }),
    ("level * 2", "1m", {"{}": "{{count:4 sum:8 counter_reset_hint:gauge buckets:[2 2]}}"}),
    ("level", "2m", {"level": "{{count:2 sum:4 counter_reset_hint:gauge buckets:[1 1]}}"}),
    ("-level", "2m", {"{}": "{{count:-2 sum:-4 counter_reset_hint:gauge buckets:[-1 -1]}}"}),
    ("sizes", "0", {"sizes": "{{schema:-53 count:4 sum:9 custom_values:[1 5 10] buckets:[1 2 0 1]}}"}),
    ("sum_over_time(level[2m])", "2m", {"{}": "{{count:4 sum:8 counter_reset_hint:gauge buckets:[2 2]}}"}),
    ("level - level", "2m", {"{}": "{{counter_reset_hint:gauge}}"}),
]  # fmt: skip


def written(tmp_path: Path, cases: str, series: str = SERIES, head: str = "fuzzy_compare: true") -> Path:
    path = tmp_path / "test.yaml"
    path.write_text(
        f"{head}\ntests:\n  - interval: 1m\n    input_series:{series}    promql_expr_test:\n{cases}", encoding="utf-8"
    )
    return path


def case(expr: str, eval_time: str, samples: dict[str, str]) -> str:
    listed = "".join(
        f"\n          - {{labels: '{labels}', {written_value(value)}}}" for labels, value in samples.items()
    )
    head = f"      - expr: |-\n          {expr}\n        eval_time: {eval_time}\n"
    return f"{head}        exp_samples:{listed or ' []'}\n"


def written_value(value: str) -> str:
    return f"histogram: '{value}'" if value.startswith("{") else f"value: {value}"


def verdicts(path: Path) -> tuple[int, int]:
    """Exit codes of both."""
    command: list[str | Path] = [find_program("promtool"), "test", "rules", path]
    theirs = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = CliRunner().invoke(app, ["test", str(path)])
    # What pytest shows when they differ.
    sys.stdout.write(theirs.stdout + theirs.stderr + ours.output)
    return theirs.returncode, ours.exit_code


def test_both_pass_the_same_file(tmp_path: Path) -> None:
    path = written(tmp_path, "".join(case(*one) for one in AGREED + AGREED_HISTOGRAMS))
    assert verdicts(path) == (0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        ("sum(hits_total)", "4m", {"": "279.6"}),
        ("sum(hits_total)", "4m", {}),
        ("nothing", "4m", {"{}": "1"}),
        ("tenths", "4m", {"{}": "0.4"}),  # the name stays
        ("tenths * 1", "4m", {"tenths": "0.4"}),  # the name goes
        ("tenths * 1", "4m", {"{}": "0.4", '{a="b"}': "0.4"}),
        ("hits_total + on (job) hits_total", "4m", {}),  # many to many
        ("load", "1m", {r'load{path="a\"b\\c"}': "1"}),  # NaN
        ("level", "1m", {"level": "2"}),  # a histogram
        ("level", "4m", {"level": "{{count:2 sum:4 counter_reset_hint:gauge buckets:[1 1]}}"}),  # a number
        ("level", "1m", {"level": "{{count:2 sum:4 buckets:[1 1]}}"}),  # no gauge
        ("level", "1m", {"level": "{{count:2 sum:4 counter_reset_hint:gauge offset:1 buckets:[1 1]}}"}),
        ("level * 2", "1m", {"{}": "{{count:4 sum:8.1 counter_reset_hint:gauge buckets:[2 2]}}"}),
    ],
    ids=str,
)
def test_both_fail_the_same_file(tmp_path: Path, wrong: tuple[str, str, dict[str, str]]) -> None:
    assert verdicts(written(tmp_path, case(*wrong))) == (1, 1)


@pytest.mark.parametrize(
    "values",
    [
        "1+2",
        "1x",
        "1x2.5",
        "Stale",
        "stalex2",
        "1,2",
        "1+2x-3",
        "_+1x2",
        "{{}}x",
        "{{schema}}",
        "{{shape:1}}",
        "{{schema:1}}+{{schema:0}}x2",
        "{{}}+{{schema:-53 custom_values:[1]}}x2",
        "{{schema:9}}",
        "{{z_bucket_w:-1}}",
        "{{schema:-53 custom_values:[1] buckets:[1 1 1]}}",
    ],
)
def test_both_refuse_the_same_values(tmp_path: Path, values: str) -> None:
    series = f"\n      - {{series: up, values: '{values}'}}\n"
    assert verdicts(written(tmp_path, case("1", "0", {"{}": "1"}), series)) == (1, 2)


@pytest.mark.parametrize("series", ['up{job="a"', "up{job}", "up{job=a}", 'up{a="1" b="2"}', '{a="\\q"}', "up x"])
def test_both_refuse_the_same_series(tmp_path: Path, series: str) -> None:
    text = f"\n      - {{series: '{series}', values: '1'}}\n"
    assert verdicts(written(tmp_path, case("1", "0", {"{}": "1"}), text)) == (1, 2)


@pytest.mark.parametrize("cases", ["      - {expr: 'sum('}\n", "      - {expr: '1', eval_tyme: 5m}\n"])
def test_both_refuse_what_is_no_expression_and_no_key(tmp_path: Path, cases: str) -> None:
    assert verdicts(written(tmp_path, cases)) == (1, 2)


@pytest.mark.parametrize(("eval_time", "value"), [("59s", "0"), ("1m59s", "6"), ("2m", "12"), ("2m30s", "12")])
def test_samples_are_there_up_to_the_last_evaluation(tmp_path: Path, eval_time: str, value: str) -> None:
    """promtool's rule, and a surprising one: with a sample every ten seconds, 1m59s sees the one of 1m."""
    series = "\n      - {series: 'ticks', values: '0+1x60'}\n"
    path = written(tmp_path, case("ticks", eval_time, {"ticks": value}), series)
    path.write_text(path.read_text(encoding="utf-8").replace("interval: 1m", "interval: 10s"), encoding="utf-8")
    assert verdicts(path) == (0, 0)


def test_what_promtool_makes_of_rules_is_never_a_pass_here(tmp_path: Path) -> None:
    rules = "groups: [{name: g, rules: [{record: 'job:load', expr: load}, {alert: A, expr: 'load > 0'}]}]\n"
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    head = "rule_files: ['*.yml']"
    for expr, eval_time, samples in (
        ("job:load", "2m", {r'job:load{path="a\"b\\c"}': ".inf"}),
        ("count(ALERTS)", "2m", {"{}": "1"}),
    ):
        assert verdicts(written(tmp_path, case(expr, eval_time, samples), head=head)) == (0, 3)
    alerts = "    alert_rule_test:\n      - {eval_time: 4m, alertname: A, exp_alerts: []}\n"
    assert verdicts(written(tmp_path, case("1", "0", {"{}": "1"}) + alerts, head=head)) == (0, 3)

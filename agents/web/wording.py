"""Values, times and states as people read them. Times are UTC and say so."""

from datetime import UTC, datetime

from agents.web.states import State
from budgets.event import AlertEvent, RecentChange, parse_time
from budgets.spec.model import IndicatorSpec

STATE_WORDS: dict[State, str] = {
    "critical": "critical",
    "warning": "warning",
    "stale": "stale",
    "no_data": "no data",
    "low_traffic": "low traffic",
    "ok": "ok",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def format_number(value: float) -> str:
    """Four significant digits, thousands apart.

    >>> [format_number(value) for value in (0.01234, 231.44, 12345.6, 0.0)]
    ['0.01234', '231.4', '12,346', '0']
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3e}"
    return f"{value:.4g}"


def format_value(value: float | None, unit: str) -> str:
    """A value with its unit; ratios in per cent.

    >>> [format_value(0.0123, "ratio"), format_value(1200.0, "1/s"), format_value(None, "ms")]
    ['1.23 %', '1,200 /s', 'no value']
    """
    if value is None:
        return "no value"
    if unit == "ratio":
        return f"{format_number(value * 100)} %"
    return f"{format_number(value)} {unit.removeprefix('1')}".rstrip()


def format_ratio(ratio: float) -> str:
    """A change with its sign, in per cent.

    >>> format_ratio(0.352)
    '+35.2 %'
    """
    return f"{ratio * 100:+.3g} %"


def format_age(age_ms: int) -> str:
    """How long ago, or how long, roughly.

    >>> [format_age(ms) for ms in (-5, 4_000, 125_000, 7_300_000, 200_000_000)]
    ['0 s', '4 s', '2 min', '2 h 1 min', '2 d 7 h']
    """
    seconds = max(0, age_ms) // 1000
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def format_moment(at_ms: int, now_ms: int) -> str:
    """A time of day, with the date unless it is today's.

    >>> format_moment(1_000, 2_000), format_moment(0, 100_000_000)
    ('00:00:01 UTC', '1 Jan 00:00 UTC')
    """
    moment, now = (datetime.fromtimestamp(ms / 1000, tz=UTC) for ms in (at_ms, now_ms))
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S} UTC"
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M} UTC"


def broken_bound(spec: IndicatorSpec, state: State) -> str:
    """Which bound a value has passed, "" = none."""
    bound = {"critical": spec.critical, "warning": spec.warning}.get(state)
    if bound is None:
        return ""
    word = "above" if spec.direction == "above" else "below"
    return f"{STATE_WORDS[state]} {word} {format_value(bound, spec.unit)}"


def bounds_of(spec: IndicatorSpec) -> str:
    """All bounds, for who wants to know exactly."""
    word = "above" if spec.direction == "above" else "below"
    parts = [
        f"{name} {word} {format_value(bound, spec.unit)}"
        for name, bound in (("warning", spec.warning), ("critical", spec.critical))
        if bound is not None
    ]
    return ", ".join(parts) or "no limit: only changes are watched"


def evidence_of(alert: AlertEvent) -> list[tuple[str, str]]:
    """The numbers behind an alert, named."""
    evidence = alert.evidence
    facts: list[tuple[str, str]] = []
    if evidence.baseline is not None:
        facts.append(("baseline", format_value(evidence.baseline, alert.unit)))
    if evidence.change_ratio is not None:
        interval = ""
        if evidence.ci95 is not None:
            low, high = evidence.ci95
            interval = f" (95 % interval {format_ratio(low)} to {format_ratio(high)})"
        facts.append(("change", format_ratio(evidence.change_ratio) + interval))
    if evidence.z is not None:
        facts.append(("z-score", f"{evidence.z:.3g}"))
    if evidence.p_value is not None:
        facts.append(("p-value", f"{evidence.p_value:.2g}"))
    if evidence.trend_per_hour is not None:
        facts.append(("trend", f"{format_value(evidence.trend_per_hour, alert.unit)} per hour"))
    if evidence.samples:
        facts.append(("values compared", str(evidence.samples)))
    if evidence.methods:
        facts.append(("found by", ", ".join(method.replace("_", " ") for method in evidence.methods)))
    return facts


def onset_of(alert: AlertEvent) -> int | None:
    """When it began as far as can be told, Unix ms."""
    return parse_time(alert.evidence.onset) if alert.evidence.onset else None


def change_moment(change: RecentChange, now_ms: int) -> str:
    """When a change was made; its sender's own words if they are no time."""
    try:
        return format_moment(parse_time(change.at), now_ms)
    except ValueError:
        return change.at

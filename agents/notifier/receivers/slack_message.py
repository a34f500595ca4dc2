"""An alert event as a Slack message: what a person needs at a glance, in Block Kit.

Pure: event in, JSON document out. Texts of events stand in plain text objects, which Slack does not interpret; where
marks are needed everything is escaped. Limits: 50 blocks, 150 characters a header, 3,000 a section, 2,000 a field,
12,000 for all of it.

Source: https://docs.slack.dev/reference/block-kit/blocks, https://docs.slack.dev/messaging/formatting-message-text.
"""

from collections.abc import Iterator
from typing import Any

from budgets.event import AlertEvent, parse_time

MAX_HEADER, MAX_SECTION = 150, 3_000
# Ours, so that all of it together stays far below Slack's limits.
_MAX_SENTENCE, _MAX_DESCRIPTION, _MAX_FACT, _MAX_LINE, _MAX_URL, _MAX_CHANGES = 1_000, 2_000, 200, 300, 1_400, 3
_EMOJI = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":large_blue_circle:"}
_SUFFIXES = {"ms": " ms", "s": " s", "1/s": "/s"}

Block = dict[str, Any]


def slack_message(event: AlertEvent) -> dict[str, Any]:
    """The body for an incoming webhook.

    Raises:
        ValueError: a time of the event is not one.
    """
    return {
        "text": escape(f"{_title(event)}: {event.annotations.summary}", MAX_SECTION),
        "blocks": list(_blocks(event)),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(text: str, limit: int) -> str:
    """`text` with Slack's three characters escaped and no longer than `limit`, never cut inside an escape.

    >>> escape("a < b & c", 100)
    'a &lt; b &amp; c'
    >>> escape("abc&", 5)
    'abc…'
    """
    written: list[str] = []
    length = 0
    for index, character in enumerate(text):
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        is_last = index == len(text) - 1
        if length + len(piece) + (0 if is_last else 1) > limit:
            return "".join(written) + "…"
        written.append(piece)
        length += len(piece)
    return "".join(written)


def _title(event: AlertEvent) -> str:
    """Severity (or that it is over), service and indicator.

    A title of an alert that fires reads "Critical: auth-service response_time_p95".
    """
    return f"{_state(event)}: {event.service} {event.indicator}"


def _state(event: AlertEvent) -> str:
    if event.status == "resolved":
        return "Resolved"
    if event.status == "stale":
        return f"No data ({event.severity})"
    changed = {"escalated": " (escalated)", "deescalated": " (eased)"}.get(event.transition, "")
    return event.severity.capitalize() + changed


def _emoji(event: AlertEvent) -> str:
    if event.status == "resolved":
        return ":white_check_mark:"
    return ":grey_question:" if event.status == "stale" else _EMOJI[event.severity]


def _blocks(event: AlertEvent) -> Iterator[Block]:
    header = f"{_emoji(event)} {_title(event)}"
    yield {"type": "header", "text": {"type": "plain_text", "text": escape(header, MAX_HEADER), "emoji": True}}
    yield _plain(event.annotations.summary.strip() or _title(event), _MAX_SENTENCE)
    if event.annotations.description.strip() and event.status != "resolved":
        yield _plain(event.annotations.description, _MAX_DESCRIPTION)
    facts = [(name, escape(value, _MAX_FACT)) for name, value in _facts(event)]
    yield {"type": "section", "fields": [_mrkdwn(f"*{name}*\n{value}") for name, value in (*facts, _period(event))]}
    if links := " · ".join(_links(event)):
        yield {"type": "section", "text": _mrkdwn(links)}
    yield {"type": "context", "elements": [{"type": "plain_text", "text": line} for line in _footer(event)]}


def _plain(text: str, limit: int) -> Block:
    return {"type": "section", "text": {"type": "plain_text", "text": escape(text, limit), "emoji": False}}


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack makes no links and mentions of its own.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _facts(event: AlertEvent) -> Iterator[tuple[str, str]]:
    """The numbers; what is not known is left out."""
    evidence = event.evidence
    if event.value is not None:
        yield "Value", format_value(event.value, event.unit)
    if event.threshold is not None:
        side = "at most" if event.direction == "above" else "at least"
        yield "Limit", f"{side} {format_value(event.threshold, event.unit)}"
    if evidence.baseline is not None:
        yield "Baseline", format_value(evidence.baseline, event.unit)
    if evidence.change_ratio is not None:
        interval = "" if evidence.ci95 is None else " (95 % CI {} to {})".format(*map(_percent, evidence.ci95))
        yield "Change", _percent(evidence.change_ratio) + interval


def _percent(ratio: float) -> str:
    return f"{ratio * 100:+.1f} %"


def format_value(value: float, unit: str) -> str:
    """A value for people: four significant digits and its unit.

    >>> format_value(231.4159, "ms")
    '231.4 ms'
    >>> format_value(0.0123, "ratio")
    '1.23 %'
    >>> format_value(1234567.0, "1/s")
    '1,234,567/s'
    """
    if unit == "ratio":
        value, suffix = value * 100, " %"
    else:
        suffix = _SUFFIXES.get(unit, f" {unit}" if unit else "")
    number = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return number + suffix


def _period(event: AlertEvent) -> tuple[str, str]:
    """Since when, or from when to when, in the reader's own time zone."""
    start = _date(event.starts_at)
    if event.status != "resolved":
        return "Since", start
    end = event.ends_at or event.at
    minutes = max(0, parse_time(end) - parse_time(event.starts_at)) // 60_000
    return "From, to", f"{start}, {_date(end)} ({minutes} min)"


def _date(text: str) -> str:
    return f"<!date^{parse_time(text) // 1000}^{{date_short_pretty}} {{time_secs}}|{escape(text, 40)}>"


def _links(event: AlertEvent) -> Iterator[str]:
    for name, url in (("Runbook", event.annotations.runbook_url), ("Dashboard", event.annotations.dashboard_url)):
        link = escape(url, _MAX_URL + 1)
        # A link that is cut leads nowhere; a bar or a blank would end it early.
        if url.startswith(("https://", "http://")) and len(link) <= _MAX_URL and not set(url) & set("| \n\t"):
            yield f"<{link}|{name}>"


def _footer(event: AlertEvent) -> Iterator[str]:
    for change in event.changes[-_MAX_CHANGES:]:
        yield escape(f"changed before: {change.service} {change.version} {change.at}", _MAX_LINE)
    yield escape(f"{event.kind} alert {event.fingerprint}, episode {event.episode}", _MAX_LINE)

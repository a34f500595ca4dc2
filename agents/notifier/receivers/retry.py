"""What an answer means: the one table of HTTP statuses, and Retry-After.

Alertmanager does not repeat 429 for webhooks and Slack and loses alerts in bursts; here it is repeated.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from agents.notifier.receivers.receiver import Outcome

# A receiver that asks for more patience than this is asked again after it.
MAX_RETRY_AFTER_MS = 3_600_000

# status -> (is it worth another try?, in words). What is not here follows its class, below.
_STATUSES: Mapping[int, tuple[bool, str]] = {
    301: (False, "redirects are not followed"),
    302: (False, "redirects are not followed"),
    303: (False, "redirects are not followed"),
    307: (False, "redirects are not followed"),
    308: (False, "redirects are not followed"),
    400: (False, "the receiver cannot read the request"),
    401: (False, "not authenticated"),
    403: (False, "not allowed"),
    404: (False, "no such address"),
    408: (True, "the receiver waited too long"),
    410: (False, "the address is gone for good"),
    413: (False, "too large"),
    425: (True, "too early"),
    429: (True, "too many requests"),
    501: (False, "not implemented"),
    505: (False, "HTTP version not supported"),
}
_CLASSES: Mapping[int, tuple[bool, str]] = {
    1: (True, "an unfinished answer"),
    3: (False, "not an answer to a POST"),
    4: (False, "the receiver refuses the request"),
    5: (True, "the receiver failed"),
}
_UNHEARD_OF = (True, "not an HTTP status")


def outcome_of_status(status: int, headers: Mapping[str, str], now_ms: int) -> Outcome:
    """What an HTTP answer comes to, by its status alone."""
    if status // 100 == 2:
        return Outcome("delivered", status)
    again, words = _STATUSES.get(status) or _CLASSES.get(status // 100, _UNHEARD_OF)
    wait_ms = parse_retry_after_ms(headers.get("Retry-After", ""), now_ms) if again else None
    return Outcome("retry" if again else "refused", status, f"HTTP {status}: {words}", wait_ms)


def parse_retry_after_ms(text: str, now_ms: int) -> int | None:
    """A Retry-After header, seconds or an HTTP date, as ms from now, at most an hour; None = absent or unreadable.

    >>> parse_retry_after_ms("120", 0)
    120000
    >>> parse_retry_after_ms("Thu, 01 Jan 1970 00:00:30 GMT", 10_000)
    20000

    Source: RFC 9110, section 10.2.3.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        # More digits than any sensible wait: Python refuses to read thousands of them.
        wait_ms = int(text) * 1000 if len(text) < 10 else MAX_RETRY_AFTER_MS
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        # "-0000" and obsolete forms come without a zone; HTTP dates are always UTC.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        wait_ms = round(moment.timestamp() * 1000) - now_ms
    return min(max(0, wait_ms), MAX_RETRY_AFTER_MS)

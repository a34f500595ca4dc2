"""Slack: answers, pace, and messages that people read."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.notifier.receivers.posting import Poster
from agents.notifier.receivers.receiver import Receiver
from agents.notifier.receivers.slack import SlackReceiver
from agents.notifier.receivers.slack_message import escape, slack_message
from budgets.event import AlertEvent, Annotations, Evidence, RecentChange, Transition
from tests.servers.webhook_sink import Answer, WebhookSink
from tests.unit.alert_events import alert_event
from tests.unit.receiver_suite import EVENT, MESSAGE, ReceiverSuite, poster, secret_url


class TestSlack(ReceiverSuite):
    success = Answer(200, body="ok")

    def create(self, url: str, poster: Poster) -> Receiver:
        return SlackReceiver("chat", secret_url(url), poster)

    async def test_the_message_is_made_of_the_event(self, sink: WebhookSink) -> None:
        await self.answered(sink, self.success)
        assert json.loads(sink.deliveries[0].body) == slack_message(EVENT)

    @pytest.mark.parametrize("body", ["", "OK!", "<html>welcome</html>", "ok" * 2000])
    async def test_a_200_that_does_not_say_ok_is_no_delivery(self, sink: WebhookSink, body: str) -> None:
        outcome = await self.answered(sink, Answer(200, body=body))
        assert (outcome.verdict, outcome.reason) == ("retry", "an answer that is not Slack's")

    async def test_slacks_own_words_for_an_error_are_told(self, sink: WebhookSink) -> None:
        outcome = await self.answered(sink, Answer(410, body="channel_is_archived"))
        assert outcome.verdict == "refused"
        assert outcome.reason.endswith(": channel_is_archived")

    async def test_messages_keep_the_pace(self, sink: WebhookSink) -> None:
        receiver = SlackReceiver("chat", secret_url(sink.url), poster(), seconds_between_messages=0.2)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(4):
            await receiver.send(MESSAGE)
        await receiver.close()
        assert loop.time() - started >= 3 * 0.2
        assert len(sink.deliveries) == 4


def texts_of(value: Any) -> Iterator[str]:
    """Every text of a message that Slack shows."""
    if isinstance(value, dict):
        if value.get("type") in {"mrkdwn", "plain_text"}:
            yield value["text"]
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)


def spoken(event: AlertEvent) -> str:
    return "\n".join(texts_of(slack_message(event)["blocks"]))


def test_a_firing_alert_says_what_how_much_and_since_when() -> None:
    text = spoken(EVENT)
    assert text.startswith(":red_circle: Critical: auth-service response_time_p95\np95 is over its limit\n")
    for fact in (
        "*Value*\n231.4 ms",
        "*Limit*\nat most 200 ms",
        "*Baseline*\n171.2 ms",
        "*Change*\n+35.2 % (95 % CI +29.0 % to +41.0 %)",
        "*Since*\n<!date^",
        "<https://runbooks.example/p95|Runbook>",
        "changed before: auth-service 2.4.1",
    ):
        assert fact in text


def test_a_resolved_alert_looks_resolved_and_says_how_long_it_was() -> None:
    text = spoken(alert_event("resolved", 41))
    assert text.startswith(":white_check_mark: Resolved: auth-service response_time_p95\n")
    assert "*From, to*" in text
    assert "(10 min)" in text
    assert ":red_circle:" not in text
    assert "Requests are slow." not in text, "what was wrong is not wrong any more"


@pytest.mark.parametrize(
    ("event", "start"),
    [
        (alert_event("firing", 1, severity="warning"), ":large_orange_circle: Warning: "),
        (alert_event("firing", 1, severity="info"), ":large_blue_circle: Info: "),
        (alert_event("escalated", 1), ":red_circle: Critical (escalated): "),
        (alert_event("deescalated", 1, severity="warning"), ":large_orange_circle: Warning (eased): "),
        (alert_event("stale", 1), ":grey_question: No data (critical): "),
    ],
)
def test_the_header_says_how_bad_it_is(event: AlertEvent, start: str) -> None:
    assert spoken(event).startswith(start)


def test_what_is_not_known_is_left_out() -> None:
    text = spoken(msgspec.structs.replace(EVENT, value=None, threshold=None, evidence=Evidence()))
    assert not {"*Value*", "*Limit*", "*Baseline*", "*Change*"} & set(text.splitlines())
    assert "None" not in text


def test_nothing_of_an_event_can_mention_people_or_make_links() -> None:
    evil = "<!channel> <@U123> <https://evil.example|click> & co"
    event = alert_event("firing", 1, service=evil, summary=evil)
    message = json.dumps(slack_message(event))
    assert "<!channel>" not in message
    assert "<@U123>" not in message
    assert "<https://evil" not in message


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://x/|<!channel>",
        "https://x/ y",
        "https://x/" + "y" * 3000,
        "https://x/" + "&" * 400,
    ],
)
def test_an_address_that_would_not_work_as_a_link_is_left_out(url: str) -> None:
    event = msgspec.structs.replace(EVENT, annotations=Annotations("s", runbook_url=url, dashboard_url="https://d/"))
    assert "Runbook" not in spoken(event)
    assert "<https://d/|Dashboard>" in spoken(event)


@given(st.text(), st.integers(1, 200))
def test_an_escaped_text_is_never_too_long_and_never_cut_inside_an_escape(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert len(escaped) <= limit
    plain = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == text or text.startswith(plain.removesuffix("…"))


LONG = st.text(max_size=3).flatmap(lambda seed: st.sampled_from([seed, seed * 3000, "&" * 9000, "<" * 4000]))


@given(LONG, LONG, LONG, LONG, st.sampled_from(["firing", "resolved", "stale"]))
def test_slacks_limits_hold_for_every_event(
    service: str, indicator: str, summary: str, text: str, transition: Transition
) -> None:
    event = alert_event(transition, 1, service=service, indicator=indicator, summary=summary)
    event = msgspec.structs.replace(
        event,
        unit=text[:4000],
        annotations=Annotations(summary, text, "https://r/" + "&" * 270, "https://d/" + "d" * 1380),
        changes=tuple(RecentChange(service, text, text) for _ in range(20)),
    )
    message = slack_message(event)
    blocks = message["blocks"]
    assert len(blocks) <= 50
    assert len(message["text"]) <= 3000
    assert sum(len(text) for text in texts_of(blocks)) <= 12_000
    for block in blocks:
        limit = {"header": 150, "section": 3000, "context": 2000}[block["type"]]
        assert all(1 <= len(shown) <= limit for shown in texts_of(block))
        assert len(block.get("fields", [])) <= 10
        assert all(len(shown) <= 2000 for field in block.get("fields", []) for shown in texts_of(field))
        assert len(block.get("elements", [])) <= 10

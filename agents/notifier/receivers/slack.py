"""Slack, through an incoming webhook: the URL is the secret.

Slack takes about one message a second for a webhook and answers 429 beyond; so messages are paced, and 429 is
repeated when Slack says. A success is 200 with the body `ok`: a proxy's friendly page is none.
"""

import json
import re

from aiolimiter import AsyncLimiter
from yarl import URL

from agents.notifier.receivers.posting import Poster
from agents.notifier.receivers.receiver import Message, Outcome
from agents.notifier.receivers.secret_text import SecretText
from agents.notifier.receivers.slack_message import slack_message
from budgets.event import decode_event

# Slack's own error words, such as invalid_payload or channel_is_archived; anything else is not repeated to anybody.
_ERROR_WORD = re.compile(rb"[a-z]+(_[a-z]+)*")


class SlackReceiver:
    """Posts alert events as messages for people."""

    def __init__(self, name: str, url: SecretText[URL], poster: Poster, seconds_between_messages: float = 1.0) -> None:
        self.name = name
        self._url = url
        self._poster = poster
        self._pace = AsyncLimiter(1, seconds_between_messages)

    async def send(self, message: Message) -> Outcome:
        """Make one attempt, not sooner than the pace allows."""
        body = json.dumps(slack_message(decode_event(message.body)), ensure_ascii=False).encode()
        async with self._pace:
            return await self._poster.post(self._url.value(), body, {}, _judge)

    async def close(self) -> None:
        """Let go of connections."""
        await self._poster.close()


def _judge(by_status: Outcome, body: bytes) -> Outcome:
    word = body.strip()
    if by_status.verdict == "delivered":
        return by_status if word == b"ok" else Outcome("retry", by_status.status, "an answer that is not Slack's")
    if len(word) < 60 and _ERROR_WORD.fullmatch(word):
        reason = f"{by_status.reason}: {word.decode()}"
        return Outcome(by_status.verdict, by_status.status, reason, by_status.retry_after_ms)
    return by_status

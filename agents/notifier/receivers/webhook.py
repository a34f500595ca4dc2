"""The generic webhook: our event, byte for byte, signed as Standard Webhooks says.

Source: https://www.standardwebhooks.com, specification 1.0.0.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping

from yarl import URL

from agents.notifier.receivers.posting import Poster
from agents.notifier.receivers.receiver import Message, Outcome
from agents.notifier.receivers.secret_text import SecretText

Keys = tuple[bytes, ...]


def parse_keys(text: str) -> Keys:
    """Signing keys: `whsec_` and base64, several apart by white space while one replaces the other.

    >>> parse_keys("whsec_a2V5")
    (b'key',)

    Raises:
        ValueError: not that.
    """
    try:
        keys = tuple(base64.b64decode(word.removeprefix("whsec_"), validate=True) for word in text.split())
    except (binascii.Error, ValueError):
        keys = (b"",)
    if not all(keys):
        raise ValueError("expected whsec_ and base64")
    return keys


def sign(keys: Keys, event_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers that prove who sent a body and when; without keys they only name it.

    timestamp: of this attempt, Unix seconds.
    """
    headers = {"webhook-id": event_id, "webhook-timestamp": str(timestamp)}
    signed = f"{event_id}.{timestamp}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    signatures = " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)
    return {**headers, "webhook-signature": signatures} if signatures else headers


class WebhookReceiver:
    """Posts events to a URL; any 2xx is a delivery."""

    def __init__(
        self, name: str, url: SecretText[URL], keys: SecretText[Keys], poster: Poster, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._url = url
        self._keys = keys
        self._poster = poster
        self._clock = clock

    async def send(self, message: Message) -> Outcome:
        """Make one attempt, signed now."""
        headers = sign(self._keys.value(), message.event_id, int(self._clock()), message.body)
        return await self._poster.post(self._url.value(), message.body, headers)

    async def close(self) -> None:
        """Let go of connections."""
        await self._poster.close()

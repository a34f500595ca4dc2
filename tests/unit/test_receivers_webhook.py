"""The generic webhook."""

import base64
import time

import pytest

from agents.notifier.receivers.posting import Poster
from agents.notifier.receivers.receiver import Receiver
from agents.notifier.receivers.secret_text import SecretText
from agents.notifier.receivers.webhook import WebhookReceiver, parse_keys, sign
from tests.servers.webhook_sink import Answer, WebhookSink, verify_signature
from tests.unit.receiver_suite import MESSAGE, NOW, ReceiverSuite, poster, secret_url

OLD, NEW = (f"whsec_{base64.b64encode(key).decode()}" for key in (b"the old key", b"the new key"))


def create(url: str, secrets: str, poster_of_it: Poster, clock_seconds: float = NOW) -> WebhookReceiver:
    keys = SecretText("secret", secrets, None, parse_keys)
    return WebhookReceiver("chat", secret_url(url), keys, poster_of_it, lambda: clock_seconds)


class TestWebhook(ReceiverSuite):
    success = Answer(204)

    def create(self, url: str, poster: Poster) -> Receiver:
        return create(url, "whsec_aHVudGVyMg==", poster)

    @pytest.mark.parametrize("answer", [Answer(200), Answer(202, body="queued"), Answer(299, body="x" * 5000)])
    async def test_any_2xx_is_a_delivery(self, sink: WebhookSink, answer: Answer) -> None:
        assert (await self.answered(sink, answer)).verdict == "delivered"

    async def test_the_body_is_the_event_as_published_and_signed_by_every_secret(self, sink: WebhookSink) -> None:
        receiver = create(sink.url, f"{OLD}\n{NEW}", poster(), time.time())
        await receiver.send(MESSAGE)
        await receiver.close()
        (delivery,) = sink.deliveries
        assert delivery.body == MESSAGE.body
        assert delivery.headers["webhook-id"] == MESSAGE.event_id
        verify_signature(delivery, OLD)
        verify_signature(delivery, NEW)
        with pytest.raises(AssertionError, match="wrong signature"):
            verify_signature(delivery, "whsec_c29tZWJvZHkgZWxzZQ==")

    async def test_an_event_id_that_would_break_the_headers_is_refused(self, sink: WebhookSink) -> None:
        receiver = create(sink.url, OLD, poster())
        outcome = await receiver.send(type(MESSAGE)("x\r\nhost: evil", b"{}"))
        await receiver.close()
        assert (outcome.verdict, outcome.reason) == ("refused", "the request cannot be built")
        assert sink.deliveries == []


def test_the_signature_is_that_of_the_specification() -> None:
    """Source: the example of https://github.com/standard-webhooks/standard-webhooks, libraries' own tests."""
    keys = parse_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = sign(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_secret_the_event_is_named_and_not_signed() -> None:
    headers = sign(parse_keys(""), "id", 1, b"{}")
    assert headers == {"webhook-id": "id", "webhook-timestamp": "1"}


@pytest.mark.parametrize("text", ["whsec_", "whsec_!", "hunter2!", f"{OLD} whsec_?"])
def test_a_secret_that_is_not_base64_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_ and base64") as refused:
        parse_keys(text)
    assert "hunter2" not in str(refused.value)

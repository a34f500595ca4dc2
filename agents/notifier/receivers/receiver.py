"""What a receiver is: it takes one message and says what came of it. Adding one adds a file and a line in `create.py`.

A receiver knows neither the outbox nor when to try again. It raises nothing for what a network can do to it.
"""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One alert event on its way.

    event_id: the same at every attempt, so that a receiver can drop repeats.
    body: the event's JSON as it was published.
    """

    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt.

    verdict: delivered; retry = not this time; refused = never.
    status: of the HTTP answer, None = there was none.
    reason: for people, without addresses and secrets; empty if delivered.
    retry_after_ms: how long the receiver asks us to wait, None = it does not say.
    """

    verdict: Literal["delivered", "retry", "refused"]
    status: int | None = None
    reason: str = ""
    retry_after_ms: int | None = None


class Receiver(Protocol):
    """Takes messages, one after the other."""

    name: str

    async def send(self, message: Message) -> Outcome:
        """Make one attempt."""

    async def close(self) -> None:
        """Let go of connections."""

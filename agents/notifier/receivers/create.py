"""From settings to receivers: the one place that knows every type. What is wrong is refused before anything runs."""

import time
from collections import Counter
from collections.abc import Callable
from typing import get_args

from agents.notifier.receivers.posting import Poster, parse_url
from agents.notifier.receivers.receiver import Receiver
from agents.notifier.receivers.secret_text import SecretText
from agents.notifier.receivers.slack import SlackReceiver
from agents.notifier.receivers.webhook import WebhookReceiver, parse_keys
from agents.settings import NotifierSettings, ReceiverSettings, SettingsError
from budgets.event import AlertKind


def create_receivers(settings: NotifierSettings, clock: Callable[[], float] = time.time) -> list[Receiver]:
    """Every configured receiver, in the order of the settings.

    Raises:
        SettingsError: names the receiver and the key.
    """
    counts = Counter(receiver.name for receiver in settings.receivers)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise SettingsError(f"notifier.receivers: two receivers are called {repeated[0]!r}")
    return [_create(receiver, settings, clock) for receiver in settings.receivers]


def _create(receiver: ReceiverSettings, settings: NotifierSettings, clock: Callable[[], float]) -> Receiver:
    place = f"notifier.receivers: {receiver.name}"
    if bool(receiver.url) == bool(receiver.url_file):
        raise SettingsError(f"{place}: expected either url or url_file")
    if receiver.secret and receiver.secret_file:
        raise SettingsError(f"{place}: expected either secret or secret_file, got both")
    if unknown := sorted(set(receiver.kinds) - set(get_args(AlertKind))):
        raise SettingsError(f"{place}: kinds: {unknown[0]!r} is none of {', '.join(get_args(AlertKind))}")
    key = "url_file" if receiver.url_file else "url"
    url = SecretText(f"{place}: {key}", receiver.url, receiver.url_file, parse_url)
    poster = Poster(allow_private_addresses=settings.allow_private_addresses, clock=clock)
    match receiver.type:
        case "webhook":
            key = "secret_file" if receiver.secret_file else "secret"
            keys = SecretText(f"{place}: {key}", receiver.secret, receiver.secret_file, parse_keys)
            return WebhookReceiver(receiver.name, url, keys, poster, clock)
        case "slack":
            if receiver.secret or receiver.secret_file:
                raise SettingsError(f"{place}: Slack takes no secret, its url is one")
            return SlackReceiver(receiver.name, url, poster)

"""From settings to receivers: addresses, secrets in files, and what is refused at the start."""

import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents.notifier.receivers.addresses import is_public
from agents.notifier.receivers.create import create_receivers
from agents.notifier.receivers.posting import parse_url
from agents.notifier.receivers.secret_text import SecretText
from agents.notifier.receivers.slack import SlackReceiver
from agents.notifier.receivers.webhook import WebhookReceiver
from agents.settings import NotifierSettings, ReceiverSettings, SettingsError

HOOK = "https://hooks.example/T0/hunter2"


def settings(*receivers: dict[str, Any]) -> NotifierSettings:
    return NotifierSettings(receivers=[ReceiverSettings(**receiver) for receiver in receivers])


async def test_every_type_has_its_receiver_in_the_order_of_the_settings() -> None:
    receivers = create_receivers(
        settings({"name": "a", "type": "webhook", "url": HOOK}, {"name": "b", "type": "slack", "url": HOOK})
    )
    assert [(receiver.name, type(receiver)) for receiver in receivers] == [("a", WebhookReceiver), ("b", SlackReceiver)]


@pytest.mark.parametrize(
    ("receiver", "expected"),
    [
        ({}, "either url or url_file"),
        ({"url": HOOK, "url_file": "/x"}, "either url or url_file"),
        ({"url": "hunter2"}, "url: expected an address"),
        ({"url": "ftp://h/hunter2"}, "url: expected an address"),
        ({"url": "http://[hunter2/"}, "url: expected an address"),
        ({"url_file": "/no/such/file"}, "url_file: /no/such/file: No such file"),
        ({"url": HOOK, "secret": "hunter2!"}, "secret: expected whsec_ and base64"),
        ({"url": HOOK, "secret": "whsec_YQ==", "secret_file": "/x"}, "either secret or secret_file"),
        ({"url": HOOK, "kinds": ["regresion"]}, "'regresion' is none of budget, regression"),
        ({"url": HOOK, "type": "slack", "secret": "whsec_YQ=="}, "Slack takes no secret"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_no_secret(receiver: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        create_receivers(settings({"name": "chat", "type": "webhook", **receiver}))
    assert "notifier.receivers" in str(refused.value)
    assert "chat" in str(refused.value)
    assert expected in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_two_receivers_of_one_name_are_refused() -> None:
    one = {"name": "chat", "type": "webhook", "url": HOOK}
    with pytest.raises(SettingsError, match="two receivers are called 'chat'"):
        create_receivers(settings(one, one))


def replace(file: Path, text: str) -> None:
    """As Kubernetes does: a new file in the old one's place."""
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("https://old.example/\n", encoding="utf-8")
    url = SecretText("url_file", "", file, parse_url)
    assert str(url.value()) == "https://old.example/"
    replace(file, "https://new.example/\n")
    assert str(url.value()) == "https://new.example/"
    mark = file.stat()
    file.write_text("https://now.example/\n", encoding="utf-8")
    os.utime(file, ns=(mark.st_atime_ns, mark.st_mtime_ns + 1))
    assert str(url.value()) == "https://now.example/"


@pytest.mark.parametrize("text", ["hunter2", "", b"\xff\xfehunter2"])
def test_a_file_that_becomes_wrong_leaves_the_last_good_one_in_force_and_says_so_once(
    tmp_path: Path, text: str | bytes
) -> None:
    file = tmp_path / "url"
    file.write_text(HOOK, encoding="utf-8")
    url = SecretText("url_file", "", file, parse_url)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with capture_logs() as logs:
        assert str(url.value()) == HOOK
        assert str(url.value()) == HOOK
    assert len(logs) == 1
    assert "hunter2" not in repr(logs) + repr(url)
    file.unlink()
    assert str(url.value()) == HOOK
    file.write_text("https://good.example/", encoding="utf-8")
    assert str(url.value()) == "https://good.example/"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "239.1.1.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fd00:ec2::254", "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1",
        "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "::ffff:0:127.0.0.1",
        "no address",
    ],
)  # fmt: skip
def test_what_is_not_one_public_host_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"])
def test_public_hosts_are_public(address: str) -> None:
    assert is_public(address)

"""docs/notifying.md says what the code does."""

from agents.notifier.receivers.webhook import parse_keys, sign
from tests.golden.notifying_page import EXAMPLE_SECRET, PAGE, notifying_page


def test_the_generated_parts_are_what_the_code_makes_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == notifying_page(), "run: make golden"


def test_the_signature_on_the_page_can_be_checked_by_hand() -> None:
    request = PAGE.read_text(encoding="utf-8").split("```http\n")[1].split("\n```")[0]
    head, _, body = request.partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    expected = sign(parse_keys(EXAMPLE_SECRET), headers["webhook-id"], int(headers["webhook-timestamp"]), body.encode())
    assert headers["webhook-signature"] == expected["webhook-signature"]

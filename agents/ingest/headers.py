"""What a request's headers say about its body."""

import re
from collections.abc import Mapping
from functools import lru_cache

from agents.ingest.opening import Message

_CONTENT_TYPE = "application/x-protobuf"
# RFC 9110: a type, then parameters whose values are tokens or quoted strings; names know no case.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rf"""[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*"))?"""
_MEDIA_TYPE = re.compile(rf"[ \t]*({_WORD}/{_WORD})((?:{_PARAMETER})*)[ \t]*")


def message_of(headers: Mapping[str, str]) -> tuple[Message | None, str]:
    """Which message the body is; None = it cannot be taken, with the reason. Missing headers mean 1.0 and snappy."""
    encoding = headers.get("Content-Encoding", "snappy").strip().lower()
    if encoding != "snappy":
        return None, "content encoding not supported, expected snappy"
    if "Content-Type" not in headers:
        return Message.VERSION_1, ""
    return _parse(headers["Content-Type"])


@lru_cache(maxsize=64)
def _parse(content_type: str) -> tuple[Message | None, str]:
    found = _MEDIA_TYPE.fullmatch(content_type)
    if found is None or found[1].lower() != _CONTENT_TYPE:
        return None, f"content type not supported, expected {_CONTENT_TYPE}"
    parameters = re.findall(_PARAMETER, found[2])
    protos = {_unquote(value) for name, value in parameters if name.lower() == "proto"}
    messages = {message.value: message for message in Message}
    if len(protos) > 1 or not protos <= messages.keys():
        return None, f"message not supported, expected proto={' or proto='.join(messages)}"
    return messages[protos.pop()] if protos else Message.VERSION_1, ""


def _unquote(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value

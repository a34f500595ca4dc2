"""The protobuf wire format, as far as remote write needs it: varints and fields. Knows no message.

Walking in Python is the slow, exact way: it says where something is wrong. `request.py` and `samples.py` avoid it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from streams.wire.errors import MalformedError

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

# Tags and lengths have 32 bits. Other parsers refuse longer ones, whatever they say: so must we, who pass frames on.
_MOST_TAG_BYTES: Final = 5

# What a message is read from; what is kept of it is always bytes.
Data = bytes | bytearray


class Field(NamedTuple):
    """One field of a message, by positions in the message's bytes.

    start: where its tag begins. value: a varint's value, otherwise where the content begins. end: where it ends.
    """

    number: int
    wire_type: int
    start: int
    value: int
    end: int


def encode_varint(value: int) -> bytes:
    """A non-negative number as a varint.

    >>> encode_varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_bytes(number: int, content: bytes) -> bytes:
    """A field of bytes: tag, length, content. Field numbers up to 15."""
    return bytes((number << 3 | BYTES,)) + encode_varint(len(content)) + content


def decode_varint(data: Data, at: int, end: int, most_bytes: int = 10) -> tuple[int, int]:
    """The varint at `at` as an unsigned 64-bit number, and where it ends.

    Raises:
        MalformedError: not ended before `end` or in `most_bytes`, or longer than 64 bits.
    """
    value = shift = 0
    for position in range(at, min(end, at + most_bytes)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + 1
        shift += 7
    raise MalformedError(f"byte {at}: expected a varint of at most {most_bytes} bytes")


def walk_fields(data: Data, at: int, end: int) -> Iterator[Field]:
    """The fields of the message that stands in `data[at:end]`.

    Raises:
        MalformedError: what is there is no field, or reaches beyond `end`.
    """
    while at < end:
        start = at
        tag = data[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = decode_varint(data, at, end, _MOST_TAG_BYTES)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise MalformedError(f"byte {start}: expected a field number, got {number}")
        if wire_type == VARINT:
            value, stop = decode_varint(data, at, end)
        elif wire_type == BYTES:
            length, value = decode_varint(data, at, end, _MOST_TAG_BYTES)
            stop = value + length
        elif wire_type == FIXED64:
            value, stop = at, at + 8
        elif wire_type == FIXED32:
            value, stop = at, at + 4
        else:
            raise MalformedError(f"byte {start}: field {number} has the unsupported wire type {wire_type}")
        if stop > end:
            raise MalformedError(f"byte {start}: field {number} is {stop - end} bytes longer than what is left")
        at = stop
        yield Field(number, wire_type, start, value, stop)


def expect_type(field: Field, wire_type: int, meaning: str) -> None:
    """Refuse a known field of another type.

    Raises:
        MalformedError: the field is not of `wire_type`.
    """
    if field.wire_type != wire_type:
        raise MalformedError(f"byte {field.start}: {meaning} has wire type {field.wire_type}, expected {wire_type}")

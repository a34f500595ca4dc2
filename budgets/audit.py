"""The audit trail: every order once more, with what it replaced, each record chained to the one before by its hash.

Whoever changes or removes a record breaks the chain from there on. Equal orders after equal records give equal bytes,
so that two who write the same write it twice, and who reads drops what he has seen.
"""

import hashlib
from typing import Any

import msgspec

# What the first record is chained to.
BEGINNING = "0" * 64


class AuditRecord(msgspec.Struct, frozen=True):
    """One order. before, after: documents, None = there was, or is from now on, none. at: Unix ms.

    hash: SHA-256 over this record as JSON without it, keys sorted, no spaces. previous: that of the record before.
    """

    subject: str
    by: str
    at: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous: str
    hash: str
    schema: int = 1


_decoder = msgspec.json.Decoder(AuditRecord)
_encoder = msgspec.json.Encoder(order="sorted")


def create_record(
    previous: str, subject: str, by: str, at: int, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> AuditRecord:
    """The record that follows the one with the hash `previous`."""
    record = AuditRecord(subject, by, at, before, after, previous, "")
    return msgspec.structs.replace(record, hash=hash_of(record))


def hash_of(record: AuditRecord) -> str:
    """What `hash` of a record has to be."""
    document = msgspec.to_builtins(record)
    del document["hash"]
    return hashlib.sha256(_encoder.encode(document)).hexdigest()


def encode_record(record: AuditRecord) -> bytes:
    """The record as JSON."""
    return _encoder.encode(record)


def decode_record(data: bytes) -> AuditRecord:
    """The record of a record of the audit topic.

    Raises:
        msgspec.ValidationError: not an audit record of schema 1.
        ValueError: its hash is not what it should be.
    """
    record = _decoder.decode(data)
    if record.schema != 1 or record.hash != hash_of(record):
        raise ValueError(f"the hash of a record about {record.subject} is not its own: somebody changed it")
    return record

"""Labels: from the label section of a frame (a *blob*) to validated pairs, and back.

A blob is the identity of a series on the hot path: equal bytes are the same series. It is read once, when it is new.
"""

from collections.abc import Mapping

from streams.wire.errors import MalformedError, TooLargeError
from streams.wire.labels_message import read_plain_labels
from streams.wire.limits import DEFAULT_LIMITS, WireLimits
from streams.wire.protobuf import BYTES, Field, encode_bytes, expect_type, walk_fields

METRIC_NAME = "__name__"


def parse_labels(blob: bytes, limits: WireLimits = DEFAULT_LIMITS) -> tuple[tuple[str, str], ...]:
    """The labels of a series, sorted by name. A label with an empty value is absent, as in Prometheus.

    Names may be any UTF-8, as in Prometheus 3; there is exactly one `__name__`, and it is not empty.

    Raises:
        MalformedError: not labels, or not labels that a series can have.
        TooLargeError: more labels, or longer ones, than the limits allow.
    """
    check_label_size(len(blob), limits)
    plain = read_plain_labels(blob)
    if plain is not None:
        labels = dict(plain)
        if len(labels) == len(plain) <= limits.max_labels and labels.get(METRIC_NAME) and "" not in labels:
            return tuple(sorted(plain if all(labels.values()) else [pair for pair in plain if pair[1]]))
    return _parse_exactly(blob, limits)


def _parse_exactly(blob: bytes, limits: WireLimits) -> tuple[tuple[str, str], ...]:
    """The slow way, which says what is wrong and where."""
    labels: dict[str, str] = {}
    for count, field in enumerate(walk_fields(blob, 0, len(blob)), 1):
        if field.number != 1:
            raise MalformedError(f"byte {field.start}: field {field.number} between the labels")
        if count > limits.max_labels:
            raise TooLargeError(f"more than {limits.max_labels} labels")
        name, value = _parse_label(blob, field, count)
        if name in labels:
            raise MalformedError(f"label {count}: name {_shorten(name)} stands twice")
        labels[name] = value
    if not labels.get(METRIC_NAME):
        raise MalformedError(f"label {METRIC_NAME} is missing or empty")
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def check_label_size(size: int, limits: WireLimits) -> None:
    """Refuse a label section before reading it.

    Raises:
        TooLargeError: longer than the limit.
    """
    if size > limits.max_label_bytes:
        raise TooLargeError(f"labels are {size} bytes long, at most {limits.max_label_bytes} are taken")


def _parse_label(blob: bytes, label: Field, count: int) -> tuple[str, str]:
    expect_type(label, BYTES, f"label {count}")
    name = ""
    values = [b""]
    for field in walk_fields(blob, label.value, label.end):
        if field.number == 1:
            expect_type(field, BYTES, f"name of label {count}")
            name = _decode(blob[field.value : field.end], f"label {count}: the name")
        elif field.number == 2:
            expect_type(field, BYTES, f"value of label {count}")
            values.append(blob[field.value : field.end])
    if not name:
        raise MalformedError(f"label {count}: the name is empty")
    # The last one counts, but whoever reads the series after us refuses it for any of them.
    return name, [_decode(value, f"label {count}: the value of {_shorten(name)}") for value in values][-1]


def _decode(text: bytes, meaning: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise MalformedError(f"{meaning} is not UTF-8") from None


def _shorten(name: str) -> str:
    return repr(name if len(name) <= 64 else name[:61] + "...")


def encode_labels(labels: Mapping[str, str]) -> bytes:
    """The label section of a frame, names in order, empty values left out."""
    return b"".join(
        encode_bytes(1, encode_bytes(1, name.encode()) + encode_bytes(2, value.encode()))
        for name, value in sorted(labels.items())
        if value
    )

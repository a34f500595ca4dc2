"""A request's content as 1.0 frames, whichever version it has: what tells the two apart ends here."""

from dataclasses import dataclass, field
from enum import Enum

from agents.ingest.records import FRAME_HEAD_BYTES
from streams.wire.errors import WireError
from streams.wire.limits import WireLimits
from streams.wire.request import split_request
from streams.wire.request_2 import ReadRequest2, Translator
from streams.wire.samples import Tails, read_tails
from streams.wire.symbols import References


class Message(Enum):
    """What a body holds, by the name that its content type gives it."""

    VERSION_1 = "prometheus.WriteRequest"
    VERSION_2 = "io.prometheus.write.v2.Request"


@dataclass(slots=True)
class Opened:
    """A request, its frames not yet read.

    size: how long they are as a WriteRequest, at most.
    whole: its bytes, where they may be passed on as they are; None = they may not.
    references: what a 2.0 request is recognised by; None = it is not to be kept.
    metadata: entries that are not passed on.
    keeps_rest: a series at fault is left out; otherwise it is the request's fault.
    faults: what is wrong, by the series' index; such a frame is empty. exemplars: by the series' index.
    """

    frames: list[bytes]
    tails: Tails
    size: int
    whole: bytearray | None
    metadata: int
    keeps_rest: bool = False
    faults: dict[int, WireError] = field(default_factory=dict)
    exemplars: dict[int, int] = field(default_factory=dict)
    references: References | None = None


def open_1(data: bytearray, limits: WireLimits) -> Opened:
    """The frames of a 1.0 request.

    Raises:
        MalformedError, TooLargeError: nothing of it can be used.
    """
    request = split_request(data, limits)
    whole = data if request.plain else None
    return Opened(request.frames, read_tails(request.frames), len(data), whole, request.metadata)


def open_2(size: int, read: ReadRequest2, translator: Translator) -> Opened:
    """The frames of a 2.0 request of that size.

    Raises:
        TooLargeError: nothing of it can be used.
    """
    two = translator.translate(read)
    return Opened(
        two.frames,
        two.tails,
        # A sample takes no more than in 2.0, with a tag and a length for each frame.
        two.label_bytes + size + FRAME_HEAD_BYTES * len(two.frames),
        None,
        two.metadata,
        keeps_rest=True,
        faults=two.faults,
        exemplars=two.exemplars,
        references=read.references,
    )

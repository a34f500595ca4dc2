"""A request's content as 1.0 frames, whichever version it has: what tells the two apart ends here."""

from dataclasses import dataclass, field
from enum import Enum

from agents.ingest.records import FRAME_HEAD_BYTES
from streams.wire.errors import WireError
from streams.wire.limits import WireLimits
from streams.wire.request import split_request
from streams.wire.request_2 import Translator
from streams.wire.samples import Tails, read_tails
from streams.wire.symbols import SeriesMemory


class Message(Enum):
    """What a body holds, by the name that its content type gives it."""

    VERSION_1 = "prometheus.WriteRequest"
    VERSION_2 = "io.prometheus.write.v2.Request"


@dataclass(slots=True)
class Opened:
    """A request, its frames not yet read.

    size: how long they are as a WriteRequest, at most.
    whole: its bytes, where they may be passed on as they are; None = they may not.
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


class Opener:
    """Opens requests."""

    def __init__(self, limits: WireLimits, memory: SeriesMemory) -> None:
        self._limits = limits
        self._translator = Translator(memory, limits)

    def open(self, data: bytearray, message: Message) -> Opened:
        """The frames of a request.

        Raises:
            MalformedError, TooLargeError: nothing of it can be used.
        """
        if message is Message.VERSION_2:
            two = self._translator.translate(data)
            # A sample takes no more than in 2.0, with a tag and a length for each frame.
            size = two.label_bytes + len(data) + FRAME_HEAD_BYTES * len(two.frames)
            return Opened(
                two.frames,
                two.tails,
                size,
                None,
                two.metadata,
                keeps_rest=True,
                faults=two.faults,
                exemplars=two.exemplars,
            )
        request = split_request(data, self._limits)
        whole = data if request.plain else None
        return Opened(request.frames, read_tails(request.frames), len(data), whole, request.metadata)

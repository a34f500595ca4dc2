"""What can be wrong with a request: always the sender's fault, always with the place."""


class WireError(Exception):
    """A request that cannot be taken; the text says what is wrong and where, and carries no label values."""


class MalformedError(WireError):
    """Not what the format says: the same bytes will never be taken."""


class TooLargeError(WireError):
    """Above a limit; smaller requests of the same sender may be taken."""

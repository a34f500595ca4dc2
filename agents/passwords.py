"""Names and passwords against bcrypt hashes, without letting anybody keep the process busy or learn names by time."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt

# One check takes 50 ms and more of a core by design, so answers are remembered and few run at once.
_MOST_REMEMBERED = 1_000
_MOST_AT_ONCE = 2
# bcrypt reads no further; the library refuses longer ones, Prometheus takes them.
_MOST_BYTES = 72
# Checked for names that do not exist: as slow as for one that does.
_NOBODY = "$2b$10$8K1p/a0dL1LXMIgoEDFrwOfMQkLgYv9.cDAaGjW6qJQ4qNmGZkEWq"


class Passwords:
    """Checks basic authentication."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        self._answers: OrderedDict[bytes, bool] = OrderedDict()
        self._turn = asyncio.Semaphore(_MOST_AT_ONCE)

    async def is_right(self, users: Mapping[str, str], name: str, password: bytes) -> bool:
        """Whether `password` is the one of `name`.

        users: name -> bcrypt hash.
        """
        known = users.get(name)
        hashed = (known or _NOBODY).encode()
        # Neither passwords nor what could be tried against a dictionary stay in memory.
        key = hashlib.blake2b(b"\0".join((name.encode(), hashed, password)), key=self._salt).digest()
        answer = self._answers.get(key)
        if answer is None:
            async with self._turn:
                matches = await asyncio.to_thread(_matches, password, hashed)
            answer = self._answers[key] = matches and known is not None
            if len(self._answers) > _MOST_REMEMBERED:
                self._answers.popitem(last=False)
        else:
            self._answers.move_to_end(key)
        return answer


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:_MOST_BYTES], hashed)
    except ValueError:  # a NUL byte in the password, which no hash was ever made of
        return False

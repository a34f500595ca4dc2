"""One fuzzer: libFuzzer's loop over one target, by atheris, until it ends the process.

`python -m tests.fuzz.child v1|v2|repeated PROGRAM [libFuzzer's options] DIRECTORY…`; PROGRAM starts the same one again.
"""

import importlib
import random
import sys

import atheris

# What is measured is what a sender reaches.
with atheris.instrument_imports(include=["streams.wire"]):
    version_1, version_2, repeated = (
        importlib.import_module(f"tests.fuzz.{name}") for name in ("version_1", "version_2", "repeated")
    )
from tests.fuzz.mutate import change_inside

# What is checked, and how an input is changed so that it stays one.
_TARGETS = {
    "v1": (version_1.check, change_inside),
    "v2": (version_2.check, change_inside),
    "repeated": (repeated.check, repeated.change_one),
}

# Holding memory to its bound costs several executions: findings are measured again, every one, by the replay.
_MEASURED_ONCE_IN = 64


def main() -> None:
    """Fuzz; does not return."""
    _, version, *arguments = sys.argv
    check, change_one = _TARGETS[version]
    draws = random.Random(0)

    def once(data: bytes) -> None:
        check(data, measured=draws.randrange(_MEASURED_ONCE_IN) == 0)

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        rng = random.Random(seed)

        def change(part: bytes) -> bytes:
            return bytes(atheris.Mutate(part, max(len(part) + 32, 64)))

        changed = change_one(data, rng, change) if rng.random() < 0.7 else change(data)
        return changed[:most_bytes]

    atheris.Setup(arguments, once, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Frames by the services that need them, whatever their sizes and order."""

import random

import numpy as np
import pytest

from agents.ingest.records import cut_by_number


@pytest.mark.parametrize("sizes", [1, 5, 400])
@pytest.mark.parametrize("numbers", [1, 2, 50])
@pytest.mark.parametrize("in_a_row", [1, 12])
def test_each_number_gets_its_frames_in_their_order(sizes: int, numbers: int, in_a_row: int) -> None:
    rng = random.Random(sizes * numbers)
    frames = [rng.randbytes(30 + rng.randrange(sizes)) for _ in range(1200)]
    of = [rng.randrange(numbers) * 7 for _ in range(1200 // in_a_row) for _ in range(in_a_row)]
    starts = np.cumsum([0, *map(len, frames)]).astype(np.int32)
    found = list(cut_by_number(bytearray(b"".join(frames)), starts, np.array(of, np.uint16)))
    assert found == [
        (number, b"".join(frame for frame, its in zip(frames, of, strict=True) if its == number), of.count(number))
        for number in sorted(set(of))
    ]

"""What fuzzing found to reach something, and every finding once, is read again: without a fuzzer, in a few seconds."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.wire.errors import MalformedError
from streams.wire.protobuf import walk_fields
from tests.fuzz import repeated, seeds, version_1, version_2
from tests.fuzz.memory import within
from tests.fuzz.mutate import change_inside

CORPUS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
CHECKS = {"v1": version_1.check, "v2": version_2.check, "repeated": repeated.check}


def corpus(version: str) -> list[Path]:
    return sorted((CORPUS / version).iterdir())


@pytest.mark.parametrize("version", CHECKS)
def test_the_kept_corpus_is_read_as_the_reference_reads_it(version: str) -> None:
    found = []
    for path in corpus(version):
        try:
            CHECKS[version](path.read_bytes())
        except Exception as error:  # noqa: BLE001  every file at fault is to be named, whatever it raises
            found.append(f"{path.name}: {error!r}")
    assert found == []


@pytest.mark.parametrize("version", CHECKS)
def test_the_corpus_is_there_and_stays_small(version: str) -> None:
    sizes = [path.stat().st_size for path in corpus(version)]
    assert 20 < len(sizes) <= 150
    assert sum(sizes) <= 100_000


@pytest.mark.parametrize(
    ("check", "made"),
    [(version_1.check, seeds.seeds_1), (version_2.check, seeds.seeds_2), (repeated.check, seeds.seeds_repeated)],
)
def test_seeds_are_read_as_the_reference_reads_them(
    check: Callable[[bytes], None], made: Callable[[], list[bytes]]
) -> None:
    for seed in made():
        check(seed)


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (version_1.check, "streams.wire.frame.read_sample"),
        (version_2.check, "streams.wire.series_2.read_sample"),
    ],
)
def test_a_decoder_that_reads_a_sample_wrongly_is_found(
    check: Callable[[bytes], None], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, lambda *_: (1, 1.0))
    made = seeds.seeds_1() if check is version_1.check else seeds.seeds_2()
    with pytest.raises(AssertionError):
        list(map(check, made))


def test_series_that_are_taken_for_others_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.wire.repeats._pass_over_samples", lambda differs, *_: differs.fill(False))
    with pytest.raises(AssertionError):
        list(map(repeated.check, seeds.seeds_repeated()))


def test_reading_that_takes_too_much_memory_is_found() -> None:
    with pytest.raises(AssertionError, match="bytes of memory for an input of 10"):
        within(10, lambda: bytearray(1 << 20))


def test_changes_inside_a_message_leave_most_of_them_messages() -> None:
    rng = random.Random(3)
    seed = next(seeds.seeds_2())
    good = 0
    for _ in range(300):
        changed = change_inside(seed, rng, lambda part: part[::-1])
        assert isinstance(changed, bytes)
        try:
            good += bool(list(walk_fields(changed, 0, len(changed))))
        except MalformedError:
            continue
    assert good > 200

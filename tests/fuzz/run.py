"""Coverage-guided fuzzing of what reads requests: `python -m tests.fuzz.run --minutes 10`, which `make fuzz` runs.

Begins with the kept corpus and the seeds, and works in `.fuzz/`, where findings stay as files. Prints executions,
coverage and findings of each decoder; exits with 1 when there is a finding. `--keep` then writes the
corpus again: as few inputs as reach everything. A finding is kept by copying its file into the corpus, whose
every file `tests/unit/test_fuzz_corpus.py` replays.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fuzz import seeds

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).resolve().parent / "corpus"
WORK = ROOT / ".fuzz"
VERSIONS = {"v1": "remote write 1.0", "v2": "remote write 2.0", "repeated": "requests that repeat series"}
# An input may take this long. A fuzzer's own process grows by up to 10 KB an execution, which the decoders without it
# do not: the target holds the memory of an input to a bound, this one is only for the machine's sake.
_INPUT_SECONDS, _MEMORY_MB = 10, 4096


def write_program(version: str) -> str:
    """One decoder's fuzzer as a program of its own: when it merges, libFuzzer starts itself by its name."""
    program = WORK / f"fuzz-{version}"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m tests.fuzz.child {version} "$0" "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    return str(program)


def start(version: str, seconds: int) -> subprocess.Popen[bytes]:
    """A fuzzer of one decoder."""
    own = WORK / version
    own.mkdir(parents=True, exist_ok=True)
    command = [
        write_program(version),
        *(f"-max_total_time={seconds}", f"-max_len={seeds.MAX_BYTES}", "-print_final_stats=1", "-verbosity=1"),
        *(f"-timeout={_INPUT_SECONDS}", f"-rss_limit_mb={_MEMORY_MB}", f"-artifact_prefix={WORK}/{version}-"),
        *map(str, (own, CORPUS / version, WORK / "seeds" / version)),
    ]
    with _log(version).open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def _log(version: str) -> Path:
    return WORK / f"{version}.log"


def report(version: str) -> bool:
    """Print what came of one decoder; whether there was a finding."""
    log = _log(version).read_text(encoding="utf-8", errors="replace")
    findings = re.findall(r"Test unit written to (\S+)", log)
    executions = re.search(r"number_of_executed_units:\s*(\d+)", log)
    covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    if executions is None or not covered:
        raise SystemExit(f"{log}\n{VERSIONS[version]}: the fuzzer did not run")
    edges, features, inputs = covered[-1]
    sys.stdout.write(
        f"{VERSIONS[version]}: {int(executions[1]):,} executions, {edges} edges and {features} features covered "
        f"by {inputs} inputs, {len(findings)} findings\n"
    )
    for finding in findings:
        message = re.search(r"=== Uncaught Python exception: ===\n(.*)", log)
        sys.stdout.write(f"  {finding}: {message[1] if message else 'see ' + str(_log(version))}\n")
    return bool(findings)


def keep(version: str) -> None:
    """Write the corpus again: as few inputs as reach everything."""
    merged = WORK / f"{version}-merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    sources = map(str, (CORPUS / version, WORK / version, WORK / "seeds" / version))
    command = [write_program(version), "-set_cover_merge=1", f"-max_len={seeds.MAX_BYTES}", str(merged), *sources]
    with (WORK / f"{version}-merge.log").open("wb") as log:
        subprocess.run(command, cwd=ROOT, check=True, stdout=log, stderr=subprocess.STDOUT)
    for old in (CORPUS / version).glob("input-*.bin"):
        old.unlink()
    inputs = sorted((path.read_bytes() for path in merged.iterdir()), key=lambda data: (len(data), data))
    for number, data in enumerate(inputs):
        (CORPUS / version / f"input-{number:03}.bin").write_bytes(data)


def main() -> None:
    """Fuzz all of them at once for the minutes given."""
    parser = argparse.ArgumentParser(description="Coverage-guided fuzzing of what reads requests.")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each of them, all at once")
    parser.add_argument("--keep", action="store_true", help="write tests/fuzz/corpus again from what was reached")
    arguments = parser.parse_args()
    seeds.write(WORK / "seeds")
    fuzzers = [start(version, round(60 * arguments.minutes)) for version in VERSIONS]
    for fuzzer in fuzzers:
        fuzzer.wait()
    found = [version for version in VERSIONS if report(version)]
    if arguments.keep:
        for version in VERSIONS:
            keep(version)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

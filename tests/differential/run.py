"""Driftline against a real Prometheus: generated expressions over generated series, as many as one likes.

    python -m tests.differential.run [--cases N] [--seed N] [--keep-going]

Each case is one expression over one story at one moment. Both must give the same elements with the same labels and
values equal to 1e-9, NaN and infinities included, or both must fail. A case that does not is made small and printed
with both answers, and the run ends with 1.
"""

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import TextIO

from streams.promql.parse import parse_expression
from tests.differential.answers import Answer, Peer, compare, elements_in, evaluate
from tests.differential.grammar import Grammar, Term
from tests.differential.native_series import NATIVE_METRICS
from tests.differential.rounding import is_undetermined
from tests.differential.series import Labels, Series, Stored, tell_series, write_requests
from tests.differential.shrink import Case, shrink
from tests.servers.prometheus import run_prometheus

FLAGS = (
    "--web.enable-remote-write-receiver",
    "--enable-feature=promql-experimental-functions",
    "--log.level=error",
)
_PER_STORY = 50
_STEP_MS = 15_000


@dataclass(slots=True)
class Tally:
    """What a run came to.

    native: cases about native histograms. histograms: how many of the values are such.
    failures: the small cases, as text. undetermined: expressions whose value rounding decides, with their number.
    """

    cases: int = 0
    native: int = 0
    values: int = 0
    histograms: int = 0
    empty: int = 0
    failed: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    functions: Counter[str] = field(default_factory=Counter)
    undetermined: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"differential: {self.cases} cases in {self.seconds:.0f} s, {self.native} of them about native histograms; "
            f"{self.values} values compared, {self.histograms} of them histograms, largest relative difference "
            f"{self.worst:.2g}; nothing there in {self.empty} cases, refused by both in "
            f"{self.failed}, decided by rounding in {len(self.undetermined)}, different in {len(self.failures)}"
        )


class Differential:
    """Runs cases against one Prometheus."""

    def __init__(self, peer: Peer, end_ms: int) -> None:
        self._peer = peer
        self._end_ms = end_ms
        self._stories = 0
        self.tally = Tally()

    def run(self, seed: int, cases: int, *, keep_going: bool = False, progress: Callable[[str], None]) -> None:
        """Run cases until one differs, or all."""
        started = time.monotonic()
        random = Random(seed)
        while self.tally.cases < cases and (keep_going or not self.tally.failures):
            series = tell_series(random, self._end_ms)
            story, stored = self._write(series)
            grammar = Grammar(random)
            for _ in range(min(_PER_STORY, cases - self.tally.cases)):
                at_ms = self._end_ms - random.choice((random.randrange(600_000), random.randrange(600) * 1000))
                case = Case(series, grammar.draw(), at_ms, random.choice((0, 0, 1, 3)))
                self._check(case, story, stored)
                if self.tally.failures and not keep_going:
                    break
            self.tally.seconds = time.monotonic() - started
            if self.tally.cases % 5000 == 0:
                progress(str(self.tally))

    def _write(self, series: Series) -> tuple[str, Stored]:
        self._stories += 1
        story = f"s{self._stories}"
        for request in write_requests(series, story):
            self._peer.write(request)
        return story, Stored(series, story, self._end_ms)

    def _ask(self, case: Case, story: str, stored: Stored) -> tuple[Answer, Answer]:
        text = case.text(story)
        ours = evaluate(stored, parse_expression(text), case.at_ms, case.before)
        return ours, self._peer.query(text, case.at_ms)

    def _check(self, case: Case, story: str, stored: Stored) -> None:
        tally = self.tally
        tally.cases += 1
        tally.functions.update(_names(case.expression))
        tally.native += any(metric in str(case.expression) for metric in NATIVE_METRICS)
        ours, theirs = self._ask(case, story, stored)
        verdict = compare(ours, theirs)
        if verdict.wrong:
            if is_undetermined(stored, case.text(story), case.at_ms, ours, theirs):
                tally.undetermined.append(case.text(story))
            else:
                tally.failures.append(self._explain(shrink(case, self._fails)))
        elif theirs is None:
            tally.failed += 1
        else:
            tally.empty += not theirs
            elements = elements_in(theirs)
            tally.values += len(elements)
            tally.histograms += sum(bool(part) for _, part in elements)
            tally.worst = max(tally.worst, verdict.worst)

    def _fails(self, case: Case) -> bool:
        story, stored = self._write(case.series)
        ours, theirs = self._ask(case, story, stored)
        return bool(compare(ours, theirs).wrong) and not is_undetermined(
            stored, case.text(story), case.at_ms, ours, theirs
        )

    def _explain(self, case: Case) -> str:
        story, stored = self._write(case.series)
        ours, theirs = self._ask(case, story, stored)
        return f"{case}\n  Driftline:  {_shown(ours)}\n  Prometheus: {_shown(theirs)}"


_NAME = re.compile(r"(\w+)(?: (?:by|without) \(.*?\) )?\(")


def _names(expression: Term) -> Counter[str]:
    """How often an expression has which function or aggregation."""
    name = _NAME.match(expression.pieces[0])
    found = Counter([name[1]] if name else [])
    for part in expression.parts:
        found.update(_names(part))
    return found


def _shown(answer: Answer) -> str:
    if answer is None:
        return "refused"
    shown: dict[Labels, list[str]] = {}
    for (labels, part), value in answer.items():
        shown.setdefault(labels, []).append(f"{part} {value!r}".lstrip())
    return "; ".join(f"{dict(labels)} {', '.join(parts)}" for labels, parts in sorted(shown.items())) or "nothing"


def run(seed: int, cases: int, *, keep_going: bool = False, progress: Callable[[str], None] = lambda _: None) -> Tally:
    """Start a Prometheus and run cases against it."""
    with run_prometheus("", *FLAGS) as prometheus, closing(Peer(prometheus.port)) as peer:
        end_ms = int(time.time() * 1000) // _STEP_MS * _STEP_MS
        differential = Differential(peer, end_ms)
        differential.run(seed, cases, keep_going=keep_going, progress=progress)
        return differential.tally


def _write_line(stream: TextIO, text: str) -> None:
    stream.write(text + "\n")
    stream.flush()


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-going", action="store_true", help="show all cases that differ, not only the first")
    arguments = parser.parse_args()
    tally = run(
        arguments.seed,
        arguments.cases,
        keep_going=arguments.keep_going,
        progress=lambda text: _write_line(sys.stderr, text),
    )
    counts = [f"  {name}: {count}" for name, count in sorted(tally.functions.items())]
    _write_line(sys.stdout, "\n".join([*counts, *tally.failures, str(tally)]))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Makes a failing case small enough to read: fewer parts, fewer series, fewer samples, failing all the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from streams.wire.histogram_message import HistogramMessage
from tests.differential.grammar import STORY, Term
from tests.differential.native_series import value_text
from tests.differential.series import Series
from tests.property.reference_promql import is_stale

_MOST_TRIALS = 400


@dataclass(frozen=True, slots=True)
class Case:
    """An expression over a story at a moment. before: how many steps came before it."""

    series: Series
    expression: Term
    at_ms: int
    before: int

    def text(self, story: str) -> str:
        """The expression over the story as it is named."""
        return str(self.expression).replace(STORY, story)

    def __str__(self) -> str:
        lines = [str(self.expression).replace(f'story="{STORY}", ', "").replace(f'{{story="{STORY}"}}', "")]
        lines[0] += f"   at {self.at_ms / 1000:.3f} after {self.before} steps"
        for labels, samples in sorted(self.series.items()):
            values = ", ".join(f"{(time_ms - self.at_ms) / 1000:+g}s {_shown(value)}" for time_ms, value in samples)
            lines.append(f"  {dict(labels)}: {values}")
        return "\n".join(lines)


def _shown(value: float | HistogramMessage) -> str:
    if not isinstance(value, float):
        return value_text(value)
    return "stale" if is_stale(value) else repr(value)


def shrink(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest case that is found to fail."""
    trials = 0
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case):
            trials += 1
            if trials > _MOST_TRIALS:
                return case
            if fails(smaller):
                case, progress = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    if case.before:
        yield replace(case, before=0)
    for expression in _simpler(case.expression):
        yield replace(case, expression=expression)
    series = list(case.series.items())
    size = len(series) // 2
    while size:
        for at in range(0, len(series), size):
            yield replace(case, series=dict(series[:at] + series[at + size :]))
        size //= 2
    for labels, samples in series:
        size = len(samples) // 2
        while size:
            for at in range(0, len(samples), size):
                yield replace(case, series={**case.series, labels: samples[:at] + samples[at + size :]})
            size //= 2


def _simpler(whole: Term) -> Iterator[Term]:
    """Parts instead of the whole, then the whole with a simpler part."""
    yield from (part for part in _parts(whole) if part.kind in {"vector", "scalar"})
    for place, part in enumerate(whole.parts):
        for simpler in (*(inner for inner in _parts(part) if inner.kind == part.kind), *_simpler(part)):
            if simpler.kind == part.kind:
                yield replace(whole, parts=(*whole.parts[:place], simpler, *whole.parts[place + 1 :]))


def _parts(whole: Term) -> Iterator[Term]:
    for part in whole.parts:
        yield part
        yield from _parts(part)

"""A figure of the table, and the table: measures down, methods across, as Markdown and as JSON."""

import json
from collections.abc import Iterable
from typing import NamedTuple

OURS = "driftline"


class Figure(NamedTuple):
    """One cell.

    row: the part of the benchmark. measure: what was measured, with its unit. method: whose. value: None = nothing to
    measure. wanted: the bar, as text. limit: what is possible at all, or what others published. note: how much was run.
    """

    row: str
    measure: str
    method: str
    value: float | None
    wanted: str = ""
    limit: str = ""
    note: str = ""


def shown(value: float | None) -> str:
    """A number as people read it: three digits are enough, whole numbers are whole.

    >>> shown(22.53), shown(0.7412), shown(1234.0), shown(None)
    ('22.5', '0.741', '1,234', '-')
    """
    if value is None:
        return "-"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"


def markdown(figures: Iterable[Figure]) -> str:
    """Rows as sections, each with a table."""
    kept = list(figures)
    lines = []
    for row in dict.fromkeys(figure.row for figure in kept):
        of_row = [figure for figure in kept if figure.row == row]
        methods = list(dict.fromkeys(figure.method for figure in of_row))
        lines += [f"### {row}", "", f"| measure | wanted | limit | {' | '.join(methods)} |"]
        lines.append("|---" * (3 + len(methods)) + "|")
        for measure in dict.fromkeys(figure.measure for figure in of_row):
            cells = {figure.method: figure for figure in of_row if figure.measure == measure}
            one = next(iter(cells.values()))
            values = [_cell(cells[method]) if method in cells else "" for method in methods]
            lines.append(f"| {measure} | {one.wanted} | {one.limit} | {' | '.join(values)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(figure: Figure) -> str:
    return shown(figure.value) + (f" ({figure.note})" if figure.note else "")


def as_json(figures: Iterable[Figure], machine: str, commit: str) -> str:
    """All figures with where they come from."""
    document = {"machine": machine, "commit": commit, "figures": [figure._asdict() for figure in figures]}
    return json.dumps(document, indent=1) + "\n"

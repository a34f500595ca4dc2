"""A recording: the values of one service's indicators over time, as a CSV file holds them.

First column `timestamp` (Unix seconds, milliseconds or RFC 3339), every further one an indicator. An empty field, `NaN`
and infinities are no data, as they are on the stream. The file itself is read by whoever holds it.
"""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

# As seconds this is the year 5138, as milliseconds 1973.
_FIRST_MILLISECONDS = 1e11
_YEAR_9999_MS = 253_402_300_799_999

ParsedT = TypeVar("ParsedT")


class RecordingError(ValueError):
    """A file that cannot be used: names file, line, column and what was expected."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Columns of equal length, in the order of the file.

    name: of the file. stamps: timestamps as the file writes them. times: the same, Unix ms.
    values: a list for each of `columns`; None = no data.
    """

    name: str
    columns: tuple[str, ...]
    stamps: list[str]
    times: list[int]
    values: list[list[float | None]]


def parse_stamp(text: str) -> int:
    """A timestamp as Unix ms. RFC 3339 without a zone (and with a space for the `T`) is UTC.

    >>> parse_stamp("1400000000"), parse_stamp("1400000000000"), parse_stamp("2014-05-13 16:53:20")
    (1400000000000, 1400000000000, 1400000000000)

    Raises:
        ValueError: none of these, or outside of the years 1970 to 9999.
    """
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        timestamp_ms = round(moment.timestamp() * 1000)
    else:
        if not math.isfinite(number):
            raise ValueError("not a time")
        timestamp_ms = round(number if abs(number) >= _FIRST_MILLISECONDS else number * 1000)
    if not 0 <= timestamp_ms <= _YEAR_9999_MS:
        raise ValueError("outside of the years 1970 to 9999")
    return timestamp_ms


def _parse_value(text: str) -> float | None:
    if not text or text.isspace():
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def read_recording(text: str, name: str) -> Recording:
    """The recording in a CSV file's text.

    Raises:
        RecordingError: not such a file.
    """
    lines = csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True)
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        header = [cell.strip() for cell in next(lines, [])]
        _check_header(name, header)
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(header):
                where = f"{name}:{lines.line_num}"
                raise RecordingError(f"{where}: {len(cells)} fields, expected {len(header)} as in the header")
            rows.append(cells)
            numbers.append(lines.line_num)
    except csv.Error as error:
        raise RecordingError(f"{name}:{lines.line_num}: not CSV: {error}") from error
    stamps = [cells[0] for cells in rows]
    expected = "expected Unix seconds, milliseconds or RFC 3339"
    times = _parse_column(stamps, parse_stamp, f"{name}:{{}}: timestamp: {expected}, got {{}}", numbers)
    values = [
        _parse_column(
            [cells[place] for cells in rows],
            _parse_value,
            f"{name}:{{}}: {column}: expected a number, got {{}}",
            numbers,
        )
        for place, column in enumerate(header)
        if place > 0
    ]
    return Recording(name, tuple(header[1:]), stamps, times, values)


def _check_header(name: str, header: Sequence[str]) -> None:
    if not header or header[0].lower() != "timestamp":
        got = repr(header[0]) if header else "an empty file"
        raise RecordingError(f"{name}:1: expected a header whose first column is timestamp, got {got}")
    if len(header) < 2:
        raise RecordingError(f"{name}:1: expected a column of values beside timestamp")
    for place, column in enumerate(header):
        if not column or column in header[:place]:
            what = f"a second column {column!r}" if column else f"column {place + 1} has no name"
            raise RecordingError(f"{name}:1: {what}")


def _parse_column(
    texts: Sequence[str], parse: Callable[[str], ParsedT], message: str, numbers: Sequence[int]
) -> list[ParsedT]:
    """Every cell of a column; `message` has places for the line and the cell of the one that cannot be read."""
    parsed: list[ParsedT] = []
    try:
        for text in texts:
            parsed.append(parse(text))  # noqa: PERF401  how far it came is where the mistake is
    except (ValueError, OverflowError) as error:
        place = len(parsed)
        raise RecordingError(message.format(numbers[place], repr(texts[place]))) from error
    return parsed

"""What may stand behind a key: numbers, durations, names. Each says what it expected when it got something else."""

import re
import zoneinfo
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from budgets.spec.document import kind_of

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = r"(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?"
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


def parse_duration_ms(text: str) -> int | None:
    """A Prometheus duration as milliseconds, None = it is none.

    >>> parse_duration_ms("1m30s")
    90000
    """
    if text == "0":
        return 0
    if not text or not re.fullmatch(_DURATION, text):
        return None
    return sum(int(number) * _UNIT_MS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", text))


def format_duration(duration_ms: int) -> str:
    """Milliseconds as a Prometheus duration.

    >>> format_duration(90_000), format_duration(0)
    ('1m30s', '0s')
    """
    text = ""
    for unit, size in sorted(_UNIT_MS.items(), key=lambda item: -item[1]):
        count, duration_ms = divmod(duration_ms, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _expected(what: str, value: object, hint: str = "") -> ValueError:
    return ValueError(f"expected {what}, got {kind_of(value)}{hint}")


def _duration(value: object) -> int:
    found = parse_duration_ms(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if found is None:
        hint = f", did you mean {value}s?" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise _expected("a duration such as 30s, 5m or 1h30m", value, hint)
    return found


def _window(value: object) -> int:
    found = _duration(value)
    if found == 0:
        raise ValueError("expected a duration longer than 0, got 0")
    return found


def _number(value: object, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _expected(expected, value)
    return float(value)


def _between(low: float, high: float, expected: str, *, low_included: bool = False) -> Callable[[object], float]:
    """A check of a number; where a percentage was given for a ratio it says so."""

    def check(value: object) -> float:
        number = _number(value, expected)
        if low < number <= high or (low_included and number == low):
            return number
        hint = f", did you mean {number / 100:g}?" if high < number <= 100 else ""
        raise _expected(expected, value, hint)

    return check


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _expected("a text", value)
    return value.strip()


def _url(value: object) -> str:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        raise _expected("an address such as https://docs.example.com/runbook", value)
    return value


def _label_names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
            raise _expected("a list of label names such as [route]", name)
        if name in {"le", "__name__"}:
            raise ValueError(f"expected labels that tell services' parts from each other, got {name}")
    if len(set(names)) < len(names):
        raise ValueError("expected each label once")
    return tuple(sorted(names))


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _expected("a mapping of labels such as {team: identity}", value)
    for name, text in value.items():
        if not _LABEL_NAME.fullmatch(name):
            raise ValueError(f"expected label names of letters, digits and _, got {name!r}")
        if name == "service":
            raise ValueError("the label service is set by Driftline, expected another name")
        if not isinstance(text, str):
            raise _expected(f"a text for {name}", text, " (quotes make it a text)")
    return value


def _timezone(value: object) -> str:
    try:
        return zoneinfo.ZoneInfo(_text(value)).key
    except (ValueError, zoneinfo.ZoneInfoNotFoundError, OSError) as error:
        raise _expected("a time zone such as Europe/Berlin", value) from error


def _schema(**schema: object) -> WithJsonSchema:
    return WithJsonSchema(dict(schema))


Duration = Annotated[int, BeforeValidator(_duration), _schema(type="string", pattern=f"^{_DURATION}$", minLength=2)]
Window = Annotated[int, BeforeValidator(_window), _schema(type="string", pattern=f"^{_DURATION}$", minLength=2)]
Factor = Annotated[
    float,
    BeforeValidator(_between(0, 2, "a factor of the limit such as 0.8")),
    _schema(type="number", exclusiveMinimum=0, maximum=2),
]
ChangeRatio = Annotated[
    float,
    BeforeValidator(_between(0, 5, "a relative change such as 0.15")),
    _schema(type="number", exclusiveMinimum=0, maximum=5),
]
MaxPercentage = Annotated[
    float,
    BeforeValidator(_between(0, 100, "a percentage from 0 to 100", low_included=True)),
    _schema(type="number", minimum=0, maximum=100),
]
MinPercentage = Annotated[
    float,
    BeforeValidator(_between(0, 100, "a percentage above 0, at most 100")),
    _schema(type="number", exclusiveMinimum=0, maximum=100),
]
Positive = Annotated[
    float,
    BeforeValidator(_between(0, float("inf"), "a number above 0")),
    _schema(type="number", exclusiveMinimum=0),
]
NotNegative = Annotated[
    float,
    BeforeValidator(_between(0, float("inf"), "a number, 0 or more", low_included=True)),
    _schema(type="number", minimum=0),
]
Text = Annotated[str, BeforeValidator(_text), _schema(type="string", minLength=1)]
# Empty is meaningful: no selector at all.
SelectorText = Annotated[str, _schema(type="string")]
Url = Annotated[str, BeforeValidator(_url), _schema(type="string", pattern="^https?://")]
TimeZone = Annotated[str, BeforeValidator(_timezone), _schema(type="string", minLength=1)]
LabelNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_label_names),
    _schema(
        anyOf=[
            {"type": "string", "pattern": f"^{_LABEL_NAME.pattern}$"},
            {"type": "array", "items": {"type": "string", "pattern": f"^{_LABEL_NAME.pattern}$"}, "uniqueItems": True},
        ]
    ),
]
Labels = Annotated[
    dict[str, str],
    BeforeValidator(_labels),
    _schema(
        type="object",
        additionalProperties={"type": "string"},
        propertyNames={"pattern": f"^(?!service$){_LABEL_NAME.pattern}$"},
    ),
]

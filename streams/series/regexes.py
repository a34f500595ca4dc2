r"""RE2 patterns as Python patterns: what means the same in both is translated, the rest is refused.

Prometheus matches labels with RE2, fully anchored, `.` matching newlines. Python's `re` knows things that RE2 refuses
(look-around, back-references) and reads a few signs differently (`$`, `\z`, `(?i)` inside a pattern, POSIX classes).
"""

import re

_POSIX_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_LEADING_FLAGS = re.compile(r"\(\?([imsU]+)\)")
_GROUP = re.compile(r"\(\?(?:P?<(?P<name>[A-Za-z_]\w*)>|(?P<flags>[ims]*(?:-[ims]+)?):)")
_ESCAPES = re.compile(r"\\(?:[dDsSwWbBAaftnrv]|x[0-9A-Fa-f]{2}|[^\w\s]|[^\x00-\x7F])")
_WIDE_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_QUOTED = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)


class RegexError(ValueError):
    """A pattern that RE2 would refuse or that means something else here; the text says what and where."""


def compile_anchored(pattern: str) -> re.Pattern[str]:
    r"""The pattern as Prometheus matches labels: against the whole value, `.` matches any character.

    >>> bool(compile_anchored("a.*").fullmatch("a\nb"))
    True

    Raises:
        RegexError: not RE2, or not expressible here.
    """
    flags = "s"
    body = pattern
    if leading := _LEADING_FLAGS.match(pattern):
        if "U" in leading[1]:
            raise RegexError(f"regular expression {pattern!r}: flag U at 0 is not supported")
        flags = "".join(sorted({*leading[1], "s"}))
        body = pattern[leading.end() :]
    try:
        return re.compile(f"(?a{flags}:{_translate(body)})")
    except (re.error, OverflowError, RecursionError) as error:
        raise RegexError(f"regular expression {pattern!r}: {error}") from error


def _translate(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            text, at = _escape(pattern, at)
        elif sign == "[":
            text, at = _character_class(pattern, at)
        elif sign == "(":
            text, at = _group(pattern, at)
        elif sign == "$":
            text, at = r"\Z", at + 1
        elif sign in "*+?}" and pattern.startswith("+", at + 1):
            raise RegexError(f"regular expression {pattern!r}: repeated operator at {at}")
        else:
            text, at = sign, at + 1
        out.append(text)
    return "".join(out)


def _escape(pattern: str, at: int) -> tuple[str, int]:
    if quoted := _QUOTED.match(pattern, at):
        return re.escape(quoted[1]), quoted.end()
    if pattern.startswith(r"\z", at):
        return r"\Z", at + 2
    if wide := _WIDE_HEX.match(pattern, at):
        code = int(wide[1], 16)
        if code > 0x10FFFF:
            raise RegexError(f"regular expression {pattern!r}: no such character at {at}")
        return re.escape(chr(code)), wide.end()
    if plain := _ESCAPES.match(pattern, at):
        # In Python 3.14 and later `\z` exists, `\Z` means the same in all versions; `_` needs no escape.
        return plain[0], plain.end()
    if pattern.startswith(r"\_", at):
        return "_", at + 2
    raise RegexError(f"regular expression {pattern!r}: escape {pattern[at : at + 2]!r} at {at} is not supported")


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    start = at
    at += 1
    out = ["["]
    if pattern.startswith("^", at):
        out.append("^")
        at += 1
    first = True
    while at < len(pattern):
        if pattern[at] == "]" and not first:
            return "".join(out) + "]", at + 1
        if posix := re.compile(r"\[:(\^?)(\w+):\]").match(pattern, at):
            if posix[1] or posix[2] not in _POSIX_CLASSES:
                raise RegexError(f"regular expression {pattern!r}: class {posix[0]} at {at} is not supported")
            text, at = _POSIX_CLASSES[posix[2]], posix.end()
        elif pattern[at] == "\\":
            text, at = _escape(pattern, at)
        else:
            # `[`, and doubled `&|~-`, are reserved for set operations in Python.
            text, at = (("\\" + pattern[at]) if pattern[at] in "[&|~]" else pattern[at]), at + 1
        out.append(text)
        first = False
    raise RegexError(f"regular expression {pattern!r}: class opened at {start} is not closed")


def _group(pattern: str, at: int) -> tuple[str, int]:
    if not pattern.startswith("(?", at):
        return "(", at + 1
    group = _GROUP.match(pattern, at)
    if group is None:
        raise RegexError(f"regular expression {pattern!r}: {pattern[at : at + 4]!r} at {at} is not supported")
    if group["name"]:
        return f"(?P<{group['name']}>", group.end()
    return f"(?{group['flags']}:", group.end()

"""Budgets as YAML that a person goes on with: comments say where things come from and what is missing.

Everything that is written here is read again by `budgets/spec`; what only looks like a number is quoted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from budgets.rule_file.model import Remark, one_line

_NUMBER_LIKE = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Keys:
    """An indicator's entries in the file, and what is said above them."""

    entries: Mapping[str, object]
    comments: tuple[str, ...] = ()


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as they are."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else "'" if _NUMBER_LIKE.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    whole = value.is_integer() and abs(value) < 1e15
    return dumper.represent_int(int(value)) if whole else dumper.represent_float(value)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def _comment(text: str) -> str:
    return f"# {one_line(text)}"


def _indent(text: str, spaces: int) -> str:
    return "".join(" " * spaces + line if line.strip() else line for line in text.splitlines(keepends=True))


def write_budgets(services: Mapping[str, Mapping[str, Keys]]) -> str:
    """Services with their indicators."""
    parts = []
    for service, indicators in services.items():
        # Names of services and indicators are plain words to every reader of YAML keys.
        parts.append(f"{service}:\n  indicators:\n")
        for name, keys in indicators.items():
            parts.append(f"    {name}:\n")
            parts += [f"      {_comment(comment)}\n" for comment in keys.comments]
            dumped = yaml.dump(dict(keys.entries), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
            parts.append(_indent(dumped, 6))
    return "".join(parts)


def write_file(services: Mapping[str, Mapping[str, Keys]], remarks: Sequence[Remark], files: Sequence[str]) -> str:
    """The whole file, with what was not taken at its top."""
    head = [_comment(f"Made from {', '.join(files)} by `driftline budgets convert`.")]
    for was_taken, title in ((False, "Not taken:"), (True, "Taken, but look at it:")):
        found = [remark for remark in remarks if remark.was_taken is was_taken]
        head += [_comment(title)] if found else []
        head += [f"#   {remark}" for remark in found]
    return "\n".join(head) + "\n" + write_budgets(services)

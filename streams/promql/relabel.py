"""Functions that make labels of labels: `label_replace label_join`; and the labels of `absent`."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from streams.series.labels import METRIC_NAME, Labels
from streams.series.matchers import Matcher
from streams.series.regexes import RegexError, compile_anchored

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<braced>\w+)\})")


def label_replace(target: str, template: str, source: str, pattern: str) -> Callable[[Labels], Labels]:
    """Sets a label from another one where the pattern matches all of that.

    Raises:
        RegexError: the pattern is not RE2, or not expressible here.
    """
    compiled = compile_anchored(pattern)
    _check_name(target)

    def relabel(labels: Labels) -> Labels:
        match = compiled.fullmatch(dict(labels).get(source, ""))
        return labels if match is None else _with_label(labels, target, expand(template, match))

    return relabel


def label_join(target: str, separator: str, *sources: str) -> Callable[[Labels], Labels]:
    """Sets a label from others, joined.

    Raises:
        RegexError: a label has no name.
    """
    for name in (target, *sources):
        _check_name(name)

    def relabel(labels: Labels) -> Labels:
        known = dict(labels)
        return _with_label(labels, target, separator.join(known.get(name, "") for name in sources))

    return relabel


def _check_name(name: str) -> None:
    if not name:
        raise RegexError("a label needs a name")


def _with_label(labels: Labels, name: str, value: str) -> Labels:
    others = [pair for pair in labels if pair[0] != name]
    return tuple(sorted([*others, (name, value)])) if value else tuple(others)


def expand(template: str, match: re.Match[str]) -> str:
    """The template with Go's references (`$1`, `${1}`, `$name`, `$$`) filled in; what a pattern has not is empty."""

    def fill(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["plain"] or reference["braced"]
        if name.isascii() and name.isdigit() and (name == "0" or not name.startswith("0")):
            group: int | str = int(name) if len(name) < 9 else -1
            known = 0 <= int(group) <= match.re.groups
        else:
            group, known = name, name in match.re.groupindex
        return (match[group] or "") if known else ""

    return _REFERENCE.sub(fill, template)


# Name -> from its texts to what it makes of labels.
RELABELLERS: Final[dict[str, Callable[..., Callable[[Labels], Labels]]]] = {
    "label_replace": label_replace,
    "label_join": label_join,
}


def labels_of_absent(matchers: Iterable[Matcher]) -> Labels:
    """What is known of a series that is not there: the labels that its selector asks for by one equality each."""
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in labels.items() if value))

"""One thing that was looked at: what it is, the value, what it was held against, and whether it holds."""

from typing import Literal

import msgspec

Need = Literal["data", "traffic", "rung", "limit", "size", "significance", "persistence", "alert"]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`need`: what kind of thing: there is data, enough traffic, enough past (rung), the value beyond its limit, a
    change large enough to matter (size), larger than chance explains (significance), for long enough (persistence), and
    no other alert that says it already (alert).
    `holds`: null = could not be said. `value` and `threshold` are in `unit`: ratio, sigmas, ms, or the indicator's.
    """

    need: Need
    name: str
    holds: bool | None
    value: float | None
    threshold: float | None
    unit: str
    text: str


def missing(conditions: list[Condition]) -> list[Condition]:
    """Those that do not hold."""
    return [condition for condition in conditions if not condition.holds]

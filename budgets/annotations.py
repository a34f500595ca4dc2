"""What an alert says to the person on call: one plain sentence, and the details below it.

Numbers have three digits and their unit; percentages exist here only.
"""

from collections.abc import Mapping

from budgets.event import AlertKind, Annotations, Evidence, Transition, format_time
from budgets.quantity import format_chance, format_change, format_duration, format_value
from budgets.spec.model import IndicatorSpec, Severity

_TREND_LIMIT_HOURS = 72.0


class Story:
    """Everything that the sentences may mention.

    value: of this step, None = missing. averaged_ms: over how long the change was averaged, 0 = it is this step's.
    last_value_at: when there was a value, 0 = never. reason: why it ended, when the value does not say so.
    """

    __slots__ = (
        "averaged_ms",
        "evidence",
        "kind",
        "last_value_at",
        "name",
        "reason",
        "severity",
        "since",
        "spec",
        "transition",
        "value",
    )

    def __init__(
        self,
        spec: IndicatorSpec,
        group: Mapping[str, str],
        kind: AlertKind,
        transition: Transition,
        severity: Severity,
        value: float | None,
        evidence: Evidence,
        since: int,
        last_value_at: int,
        averaged_ms: int = 0,
        reason: str = "",
    ) -> None:
        labels = ",".join(f'{name}="{text}"' for name, text in sorted(group.items()))
        self.spec = spec
        self.name = f"{spec.service} {spec.name}" + (f"{{{labels}}}" if labels else "")
        self.kind = kind
        self.transition = transition
        self.severity = severity
        self.value = value
        self.evidence = evidence
        self.since = since
        self.last_value_at = last_value_at
        self.averaged_ms = averaged_ms
        self.reason = reason

    def quantity(self, value: float) -> str:
        """A number in the indicator's unit."""
        return format_value(value, self.spec.unit)

    def now(self) -> str:
        """The indicator and what it is now."""
        return f"{self.name} is {self.quantity(self.value)}" if self.value is not None else f"{self.name} has no data"


def annotate(story: Story) -> Annotations:
    """Summary and description."""
    return Annotations(
        summary=_summary(story), description=" ".join(_details(story)), runbook_url=story.spec.runbook_url
    )


def _summary(story: Story) -> str:
    if story.reason:
        return f"{story.name}: the {_KINDS[story.kind]} alert ended, {story.reason}"
    if story.kind == "no_data":
        return _no_data(story)
    if story.value is None:
        since = f" since {format_time(story.last_value_at)}" if story.last_value_at else ""
        return f"{story.name} has no data{since}; its {_KINDS[story.kind]} alert was firing and stays open"
    back = " again" if story.transition == "resolved" else ""
    if story.kind == "budget":
        return f"{story.now()}{_limit(story)}" + (", within its budget" + back if back else "")
    if story.kind == "trend":
        return f"{story.now()} and does not worsen any more" if back else f"{story.now()}{_worsening(story)}"
    return story.now() + ", as usual" + back + _against_baseline(story) if back else _regression(story)


_KINDS: dict[AlertKind, str] = {
    "budget": "budget",
    "regression": "regression",
    "trend": "trend",
    "burn_rate": "burn rate",
    "no_data": "no-data",
    "anomaly": "anomaly",
}


def _limit(story: Story) -> str:
    spec = story.spec
    bound = spec.critical if story.severity == "critical" else spec.warning
    limit = f", limit {story.quantity(spec.limit)}" if spec.limit is not None else ""
    if bound is None:
        return limit
    return f"{limit} ({story.severity} {spec.direction} {story.quantity(bound)})"


def _against_baseline(story: Story) -> str:
    evidence = story.evidence
    if evidence.baseline is None or evidence.change_ratio is None:
        return ""
    return f" ({format_change(evidence.change_ratio)} to its baseline of {story.quantity(evidence.baseline)})"


def _regression(story: Story) -> str:
    evidence = story.evidence
    if evidence.baseline is None or evidence.change_ratio is None:
        return story.now()
    text = story.now()
    if story.averaged_ms:
        mean = evidence.baseline + evidence.change_ratio * abs(evidence.baseline)
        text = f"{story.name} averages {story.quantity(mean)} over {format_duration(story.averaged_ms)}"
    side = "above" if evidence.change_ratio > 0 else "below"
    text += f", {format_change(evidence.change_ratio).lstrip('+-')} {side} its baseline of "
    text += story.quantity(evidence.baseline)
    if evidence.ci95 is not None:
        low, high = evidence.ci95
        text += f" (95 % CI {format_change(low)} … {format_change(high)})"
    return text


def _worsening(story: Story) -> str:
    slope = story.evidence.trend_per_hour
    if slope is None or story.value is None:
        return " and worsens steadily"
    text = f" and has worsened steadily, by {story.quantity(abs(slope))} an hour over the last four hours"
    limit = story.spec.critical if story.spec.critical is not None else story.spec.limit
    if limit is not None and slope != 0:
        hours = (limit - story.value) / slope
        if 0 < hours <= _TREND_LIMIT_HOURS:
            text += f"; at this rate it passes {story.quantity(limit)} in {format_duration(round(hours * 60) * 60_000)}"
    return text


def _no_data(story: Story) -> str:
    if story.transition == "resolved":
        return f"{story.now()}: data is back" if story.value is not None else f"{story.name} has data again"
    if not story.last_value_at:
        return f"{story.name} has had no data since watching began: does its expression match any series?"
    return f"{story.name} has no data since {format_time(story.last_value_at)}"


def _details(story: Story) -> list[str]:
    evidence = story.evidence
    details = [f"{_KINDS[story.kind].capitalize()} alert, {story.severity}, since {format_time(story.since)}."]
    if story.transition == "pending":
        details.append(f"Fires when it holds for {format_duration(story.spec.for_ms)}.")
    if evidence.onset is not None:
        details.append(f"The deviation began at {evidence.onset}.")
    if evidence.baseline is not None and evidence.baseline_from is not None:
        details.append(
            f"Baseline {story.quantity(evidence.baseline)}, learned {evidence.baseline_from} to {evidence.baseline_to}."
        )
    if evidence.z is not None and evidence.p_value is not None:
        details.append(f"z = {evidence.z:.1f}, {format_chance(evidence.p_value)}.")
    if evidence.methods:
        details.append(f"Methods that agree: {', '.join(evidence.methods)}.")
    details.append(f"Rung: {evidence.rung}{f' of the {evidence.season}' if evidence.season else ''}.")
    if story.spec.owner:
        details.append(f"Owner: {story.spec.owner}.")
    return details

"""The keys of a budget file, one class for each place where keys may stand. What editors and the loader both know.

A key that is not given is None here: its default depends on the indicator (`indicators.py`, `complete.py`). The
descriptions are what an editor shows.
"""

import re

from pydantic import BaseModel, ConfigDict, Field

from budgets.spec.values import (
    ChangeRatio,
    Duration,
    Factor,
    LabelNames,
    Labels,
    MaxPercentage,
    MinPercentage,
    NotNegative,
    Positive,
    SelectorText,
    Text,
    TimeZone,
    Url,
    Window,
)

# Limits of indicators of the file's own: max_connections, min_replicas.
CUSTOM_LIMIT = re.compile(r"(max|min)_[a-zA-Z0-9_]+")


class OptionKeys(BaseModel):
    """Keys that may stand at the service, at an indicator and at a percentile; the inner one wins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    selector: SelectorText | None = Field(None, description='Matchers of the service\'s series: job="auth-service".')
    window: Window | None = Field(None, description="How far back default expressions look. Default: max(5m, 4 steps).")
    for_: Duration | None = Field(None, alias="for", description="How long a breach must last to fire. Default: 30s.")
    keep_firing_for: Duration | None = Field(None, description="How long recovery must last to resolve. Default: 1m.")
    recovery_threshold: Factor | None = Field(
        None, description="Factor of the limit that must be reached to recover. Default: the warning threshold."
    )
    min_traffic: NotNegative | None = Field(
        None, description="Events in the window below which nothing is judged. Default: 20 for percentiles and ratios."
    )
    group_by: LabelNames | None = Field(None, description="One budget for every value of these labels.")
    alarm_budget: Positive | None = Field(None, description="False alarms per 30 days that are acceptable. Default: 1.")
    timezone: TimeZone | None = Field(None, description="Time zone of daily and weekly rhythms. Default: UTC.")
    holidays: Text | None = Field(
        None, description="A file of dates, one a line, relative to this one: days that are like a Sunday."
    )
    runbook_url: Url | None = Field(None, description="What to do about it; goes into alerts.")
    owner: Text | None = Field(None, description="Who takes care of it.")
    labels: Labels | None = Field(None, description="Labels that alerts carry, merged from outside to inside.")


class IndicatorKeys(OptionKeys):
    """Keys of every indicator."""

    expr: Text | None = Field(
        None, description="PromQL, with $selector, $service, $window and $quantile filled in. Default: by its name."
    )
    weight_expr: Text | None = Field(None, description="PromQL that counts the events behind the value.")
    unit: Text | None = Field(None, description="Unit of the expression: ms, s, 1/s, ratio, …")
    warning_threshold: Factor | None = Field(
        None, description="Factor of the limit beyond which it is a warning. Default: 0.8, lower limits 0.9."
    )
    critical_threshold: Factor | None = Field(
        None, description="Factor of the limit beyond which it is critical. Default: 1.0, lower limits 0.8."
    )
    regression_threshold: ChangeRatio | None = Field(
        None, description="Relative change in the bad direction, against the baseline, that is a warning."
    )


class ResponseTimeKeys(IndicatorKeys):
    """One percentile of the response time."""

    budget_ms: Positive | None = Field(None, description="Upper limit, milliseconds.")


class ThroughputKeys(IndicatorKeys):
    """Requests or decisions a second."""

    min_rps: Positive | None = Field(None, description="Lower limit, requests per second.")
    min_decisions_per_sec: Positive | None = Field(None, description="Lower limit, policy decisions per second.")


class UpperRatioKeys(IndicatorKeys):
    """A share that should stay small."""

    max_percentage: MaxPercentage | None = Field(None, description="Upper limit, percent.")


class LowerRatioKeys(IndicatorKeys):
    """A share that should stay large."""

    min_percentage: MinPercentage | None = Field(None, description="Lower limit, percent.")


class CustomKeys(IndicatorKeys):
    """An indicator of the file's own: `expr`, `unit` and one limit. Further limits are named `max_…` and `min_…`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, NotNegative] = Field(init=False)

    budget_ms: Positive | None = Field(None, description="Upper limit, milliseconds; the unit is ms or s.")
    max_percentage: MaxPercentage | None = Field(None, description="Upper limit, percent; the unit is ratio.")
    min_percentage: MinPercentage | None = Field(None, description="Lower limit, percent; the unit is ratio.")
    max: NotNegative | None = Field(None, description="Upper limit, in the indicator's unit.")
    min: Positive | None = Field(None, description="Lower limit, in the indicator's unit.")


# The keys of each well-known indicator; of everything else `CustomKeys`.
KEYS_OF: dict[str, type[IndicatorKeys]] = {
    "response_time": ResponseTimeKeys,
    "throughput": ThroughputKeys,
    "error_rate": UpperRatioKeys,
    "cache_hit_rate": LowerRatioKeys,
    "cluster_cpu": UpperRatioKeys,
    "cluster_memory": UpperRatioKeys,
    "node_availability": LowerRatioKeys,
}


def keys_of(model: type[OptionKeys]) -> dict[str, str]:
    """The keys that a class knows, as a file writes them, with the names of its fields.

    >>> keys_of(OptionKeys)["for"]
    'for_'
    """
    return {field.alias or name: name for name, field in model.model_fields.items()}

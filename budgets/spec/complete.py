"""One indicator of a file with every default filled in: keys, expression, levels.

Everything that needs more than one key to judge is checked here or in `levels.py`.
"""

import msgspec
from pydantic import ValidationError

from budgets.spec.document import kind_of
from budgets.spec.errors import Mistakes
from budgets.spec.expressions import Expressions, longest_range_ms
from budgets.spec.file_model import IndicatorKeys
from budgets.spec.holidays import ReadText, parse_holidays
from budgets.spec.indicators import CUSTOM_REGRESSION, WELL_KNOWN, Measure
from budgets.spec.levels import Levels, Limit, levels_of, limit_of
from budgets.spec.model import Direction, IndicatorSpec
from budgets.spec.structure import Place

DEFAULT_WINDOW_MS = 300_000
_THRESHOLDS = frozenset({"warning_threshold", "critical_threshold", "recovery_threshold"})


def complete(place: Place, step_ms: int, mistakes: Mistakes, read_file: ReadText) -> IndicatorSpec | None:
    """The indicator as it is judged; None = it cannot be, and `mistakes` has why. read_file: of holidays."""
    before = len(mistakes)
    keys, wrong = _read_keys(place, mistakes)
    limit = limit_of(place, keys, mistakes)
    if limit is None and not wrong and not place.is_flawed and len(mistakes) == before:
        _check_no_limit(place, keys, mistakes)
    levels = levels_of(place, keys, limit, mistakes) if limit and not wrong & _THRESHOLDS else Levels()
    window_ms = keys.window or max(DEFAULT_WINDOW_MS, 4 * step_ms)
    measure = Expressions(place, keys, window_ms, mistakes).measure()
    regression = _regression(place, keys, limit, mistakes)
    _check_traffic(place, measure, mistakes)
    holidays = _holidays(place, keys, mistakes, read_file)
    if measure is None or wrong or len(mistakes) > before:
        return None
    spec = _spec(place, keys, limit, levels, measure, regression, window_ms)
    return msgspec.structs.replace(spec, holidays=holidays)


def _read_keys(place: Place, mistakes: Mistakes) -> tuple[IndicatorKeys, set[str]]:
    """The keys, and the names of the wrong ones, which are left out: the rest is still checked."""
    plain = {key: node.plain() for key, node in place.keys.items()}
    wrong: set[str] = set()
    try:
        return place.model.model_validate(plain), wrong
    except ValidationError as error:
        places = list(plain)
        for item in sorted(error.errors(), key=lambda item: places.index(str(item["loc"][0]))):
            key = str(item["loc"][0])
            text = item["msg"].removeprefix("Value error, ")
            if item["type"] == "string_type":
                text = f"expected a text, got {kind_of(item['input'])}"
            mistakes.add(*place.line_of(key), text)
            wrong.add(key)
    return place.model.model_validate({key: value for key, value in plain.items() if key not in wrong}), wrong


def _check_no_limit(place: Place, keys: IndicatorKeys, mistakes: Mistakes) -> None:
    if place.well_known is None:
        mistakes.add(place.node.line, place.node.path, "no limit, expected one such as max, min, max_… or min_…")
        return
    names = " or ".join(WELL_KNOWN[place.well_known].limits)
    needless = next((key for key in ("warning_threshold", "critical_threshold") if key in place.own), None)
    if needless:
        mistakes.add(*place.line_of(needless), f"a factor of no limit, expected {names} beside it")
    elif keys.regression_threshold is None:
        text = f"no limit, expected {names} (or regression_threshold alone, to watch changes only)"
        mistakes.add(place.node.line, place.node.path, text)


def _check_traffic(place: Place, measure: Measure | None, mistakes: Mistakes) -> None:
    if measure is not None and measure.weight_expr is None and "min_traffic" in place.own:
        text = "nothing counts the events of this indicator, expected weight_expr beside it"
        mistakes.add(*place.line_of("min_traffic"), text)


def _holidays(place: Place, keys: IndicatorKeys, mistakes: Mistakes, read_file: ReadText) -> tuple[str, ...]:
    if keys.holidays is None:
        return ()
    try:
        return parse_holidays(read_file(keys.holidays), keys.holidays)
    except ValueError as error:
        mistakes.add(*place.line_of("holidays"), str(error))
        return ()


def _regression(place: Place, keys: IndicatorKeys, limit: Limit | None, mistakes: Mistakes) -> tuple[float, float]:
    usual = WELL_KNOWN[place.well_known].regression if place.well_known else CUSTOM_REGRESSION
    warning = usual[0] if keys.regression_threshold is None else keys.regression_threshold
    if warning >= 1 and _direction(place, limit) == "below":
        mistakes.add(*place.line_of("regression_threshold"), f"expected less than 1: nothing falls by {warning:.0%}")
    return warning, max(warning, usual[1])


def _direction(place: Place, limit: Limit | None) -> Direction:
    if limit is not None:
        return limit.direction
    return WELL_KNOWN[place.well_known].direction if place.well_known else "above"


def _spec(
    place: Place,
    keys: IndicatorKeys,
    limit: Limit | None,
    levels: Levels,
    measure: Measure,
    regression: tuple[float, float],
    window_ms: int,
) -> IndicatorSpec:
    usual = WELL_KNOWN.get(place.well_known or "")
    is_own = keys.expr is not None
    min_traffic = keys.min_traffic if keys.min_traffic is not None else usual.min_traffic if usual else 0.0
    spec = IndicatorSpec(
        id=f"{place.service}/{place.name}",
        service=place.service,
        name=place.name,
        kind=usual.kind if usual else "custom",
        expr=measure.expr,
        weight_expr=measure.weight_expr,
        unit=limit.unit if limit else keys.unit or (usual.unit if usual else ""),
        direction=_direction(place, limit),
        limit=limit.value if limit else None,
        warning=levels.warning,
        critical=levels.critical,
        recovery=levels.recovery,
        regression_warning=regression[0],
        regression_critical=regression[1],
        # Without anything that counts events there is no traffic to compare with.
        min_traffic=min_traffic if measure.weight_expr else 0.0,
        window_ms=longest_range_ms(measure.expr) if is_own else window_ms,
        # An expression of the file's own says itself what it is grouped by.
        group_by=() if is_own else keys.group_by or (),
    )
    return _with_options(spec, keys)


def _with_options(spec: IndicatorSpec, keys: IndicatorKeys) -> IndicatorSpec:
    """The options that the file gives; the others keep the defaults of the model."""
    given = {
        "for_ms": keys.for_,
        "keep_firing_for_ms": keys.keep_firing_for,
        "alarm_budget": keys.alarm_budget,
        "timezone": keys.timezone,
        "runbook_url": keys.runbook_url,
        "owner": keys.owner,
        "labels": keys.labels,
    }
    return msgspec.structs.replace(spec, **{name: value for name, value in given.items() if value is not None})

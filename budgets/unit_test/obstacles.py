"""What stands in the way of evaluating an expression here that promtool would evaluate. Said, never passed over."""

from collections.abc import Collection

from budgets.unit_test.model import Group
from streams.promql.expression import Expression, selectors_in
from streams.promql.histogram_notation import HistogramSample
from streams.promql.parse import PromqlError
from streams.series.matchers import matches_all


class Obstacles:
    """Those of one group."""

    def __init__(self, group: Group, recorded: Collection[str]) -> None:
        self._recorded = sorted(recorded)
        self._histograms = [
            series.labels
            for series in group.series
            if any(isinstance(value, HistogramSample) for value in series.values)
        ]

    def refuse(self, expression: Expression) -> None:
        """Stop if an expression looks at what is not there.

        Raises:
            PromqlError: it does; the text says at what.
        """
        for selector in selectors_in(expression):
            names = [matcher for matcher in selector.matchers if matcher.name == "__name__"]
            for name in self._recorded:
                if all(matcher.matches(name) for matcher in names):
                    raise PromqlError(f"{name} comes from a rule, and rule files are not evaluated")
            for labels in self._histograms:
                if matches_all(selector.matchers, dict(labels)):
                    raise PromqlError(f"{dict(labels)['__name__']} has native histograms, which are not supported yet")

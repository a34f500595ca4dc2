"""What stands in the way of evaluating an expression here that promtool would evaluate. Said, never passed over."""

from collections.abc import Collection

from streams.promql.expression import Expression, selectors_in
from streams.promql.parse import PromqlError


class Obstacles:
    """Those of one file."""

    def __init__(self, recorded: Collection[str]) -> None:
        self._recorded = sorted(recorded)

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

"""Expressions drawn from the grammar that the product's own tables describe: a function is covered by being added.

What each function's arguments look like is drawn from its signature. Only where a random argument would be wasted (a
quantile of 1e9, a label that nothing has) does a table here give better ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from streams.promql.expression import ValueType
from streams.promql.functions import AGGREGATIONS, ARITHMETIC, CHOOSERS, COMPARISONS, SET_OPERATORS, SIGNATURES
from tests.differential.native_series import NATIVE_METRICS

# Stands for the story's name in the text of a term.
STORY = "@@"
_FLOAT_METRICS = ("requests", "queue", "noise", "level", "up", "latency_bucket")
# Where an expression is about native histograms, some numbers are among them.
_MIXED_METRICS = (*NATIVE_METRICS * 3, "level", "up", "requests")
_NATIVE_SHARE = 0.4
# What makes something of histograms, and so is worth more draws there than what ignores them.
_NATIVE_FUNCTIONS = (
    "avg_over_time", "changes", "count_over_time", "delta", "histogram_avg", "histogram_count", "histogram_fraction",
    "histogram_quantile", "histogram_stddev", "histogram_stdvar", "histogram_sum", "idelta", "increase", "irate",
    "last_over_time", "present_over_time", "rate", "resets", "sum_over_time", "timestamp",
)  # fmt: skip
_NATIVE_OPERATORS = ("*", "/", "+", "-", "==", "!=", "and", "or", "unless")
_NATIVE_AGGREGATIONS = ("avg", "count", "count_values", "group", "limitk", "sum", "sum")
_MATCHERS = ("", "", "", "", "", 'zone="a"', 'zone!="a"', 'pod=~"pod-[01]"', 'pod!~".*-1"', 'missing="1"')
_MORE_MATCHERS: dict[str, Sequence[str]] = {
    "requests": ('code=~"5.."', 'code="200"', 'code!~"4.*|200"'),
    "latency_bucket": ('le="+Inf"', 'le!="1"'),
}
_RANGES = ("10s", "45s", "1m", "2m", "5m", "10m")
_SUBQUERIES = ("2m:15s", "5m:1m", "3m:", "1m:7s", "10m:2m", "40s:1m")
_OFFSETS = ("", "", "", "", " offset 1m", " offset 90s", " offset 5m")
_LABELS = ("pod", "zone", "code", "le", "pod, zone", "code, pod", "__name__", "")
_NUMBERS = ("0", "1", "-1", "2", "0.5", "3.7", "60", "-1e3", "1e9", "NaN", "Inf", "-Inf")
_QUANTILES = ("0", "0.25", "0.5", "0.9", "0.99", "1", "-1", "1.5", "NaN")
_SCALARS: dict[str, Sequence[str]] = {
    "histogram_quantile": _QUANTILES,
    "histogram_fraction": ("-Inf", "0", "0.1", "0.3", "0.7", "1", "5", "Inf", "NaN"),
    "quantile_over_time": _QUANTILES,
    "quantile": _QUANTILES,
    "double_exponential_smoothing": ("0.1", "0.5", "0.9", "0.01"),
    "predict_linear": ("60", "-3600", "0", "86400"),
    "round": ("1", "0.1", "5", "0.25", "0", "-2"),
    **dict.fromkeys(CHOOSERS, ("1", "2", "3.9", "0", "-1", "100")),
}
_TEXTS: dict[str, Sequence[Sequence[str]]] = {
    "label_replace": (
        ('"where"', '"$1"', '"zone"', '"(.*)"'),
        ('"pod"', '"p${1}x"', '"pod"', '"pod-(\\\\d+)"'),
        ('"code"', '""', '"code"', '".+"'),
        ('"kind"', '"${name}-$2$$"', '"pod"', '"(?P<name>p)(o)d-.*"'),
        ('"__name__"', '"other"', '"zone"', '"a"'),
        ('"x"', '"$1"', '"missing"', '"(.*)"'),
    ),
    "label_join": (('"where"', '"-"', '"zone"', '"pod"'), ('"zone"', '""', '"code"'), ('"x"', '","', '"none"')),
    "count_values": (('"value"',), ('"zone"',), ('"__name__"',)),
}


@dataclass(frozen=True, slots=True)
class Term:
    """A part of an expression: pieces of text with terms between them."""

    kind: ValueType
    pieces: tuple[str, ...]
    parts: tuple["Term", ...] = ()

    def __str__(self) -> str:
        return self.pieces[0] + "".join(
            str(part) + piece for part, piece in zip(self.parts, self.pieces[1:], strict=True)
        )


def term(kind: ValueType, template: str, *parts: Term) -> Term:
    """A term of a template that has `%` for each part."""
    return Term(kind, tuple(template.split("%%")), parts)


class Grammar:
    """Draws expressions."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._inside = 0  # subqueries around what is drawn
        self._is_native = False

    def draw(self) -> Term:
        """An expression."""
        self._is_native = self._random.random() < _NATIVE_SHARE
        if self._random.random() < 0.03:
            return self.scalar(3)
        return self.vector(self._random.choice((1, 1, 2, 2, 3, 4)))

    def vector(self, depth: int) -> Term:
        """An instant vector."""
        if depth <= 0:
            return self.selector()
        kinds: tuple[tuple[Callable[[int], Term], int], ...] = (
            (self._call, 10),
            (self._aggregation, 6),
            (self._binary, 6),
            (lambda depth: term("vector", "-(%%)", self.vector(depth - 1)), 1),
            (lambda _: self.selector(), 1),
        )
        draws, weights = zip(*kinds, strict=True)
        draw: Callable[[int], Term] = self._random.choices(draws, weights)[0]
        return draw(depth)

    def scalar(self, depth: int) -> Term:
        """A number."""
        if depth <= 0 or self._random.random() < 0.5:
            return term("scalar", self._random.choice(_NUMBERS))
        names = sorted(name for name, signature in SIGNATURES.items() if signature.gives == "scalar")
        if self._random.random() < 0.6:
            return self._function(self._random.choice(names), depth)
        operator = self._random.choice(sorted(ARITHMETIC | COMPARISONS))
        as_bool = " bool" if operator in COMPARISONS else ""
        return term("scalar", f"(%% {operator}{as_bool} %%)", self.scalar(depth - 1), self.scalar(depth - 1))

    def selector(self, metrics: Sequence[str] = ()) -> Term:
        """Series at a moment; metrics: of one of these."""
        return term("vector", self._series(metrics) + self._random.choice(_OFFSETS))

    def range_of(self, depth: int) -> Term:
        """Series over a range, or a subquery."""
        if depth <= 0 or self._inside > 1 or self._random.random() < 0.7:
            window = f"[{self._random.choice(_RANGES)}]"
            return term("range", self._series() + window + self._random.choice(_OFFSETS))
        self._inside += 1
        inner = self.vector(depth - 1)
        self._inside -= 1
        return term("range", f"(%%)[{self._random.choice(_SUBQUERIES)}]{self._random.choice(_OFFSETS)}", inner)

    def _series(self, metrics: Sequence[str] = ()) -> str:
        metric = self._random.choice(metrics or (_MIXED_METRICS if self._is_native else _FLOAT_METRICS))
        matcher = self._random.choice((*_MATCHERS, *_MORE_MATCHERS.get(metric, ())))
        inside = f'{{story="{STORY}"' + (f", {matcher}" if matcher else "")
        # Within a subquery Prometheus also refuses equal labels at different moments, which is no matter of a moment.
        if not metrics and not self._inside and self._random.random() < 0.05:
            names = "duration|mixed|level" if self._is_native else "queue|level"
            return f'{inside}, __name__=~"{names}"}}'
        return metric + inside + "}"

    def _call(self, depth: int) -> Term:
        names = sorted(name for name, signature in SIGNATURES.items() if signature.gives == "vector")
        if self._is_native and self._random.random() < 0.7:
            names = [name for name in names if name in _NATIVE_FUNCTIONS]
        return self._function(self._random.choice(names), depth)

    def _function(self, name: str, depth: int) -> Term:
        signature = SIGNATURES[name]
        texts = list(self._texts(name)) if "text" in signature.takes else []
        count = len(signature.takes) - self._random.randrange(len(signature.defaults) + 1)
        arguments = [self._argument(name, kind, depth) for kind in signature.takes[:count] if kind != "text"]
        inside = ", ".join(["%%"] * len(arguments) + texts)
        return term(signature.gives, f"{name}({inside})", *arguments)

    def _argument(self, name: str, kind: ValueType, depth: int) -> Term:
        if kind == "scalar":
            return term("scalar", self._random.choice(_SCALARS[name])) if name in _SCALARS else self.scalar(depth - 1)
        if kind == "range":
            return self.range_of(depth)
        if name in {"histogram_quantile", "histogram_fraction"} and not self._is_native:
            return self._buckets(depth)
        return self.vector(depth - 1)

    def _texts(self, name: str) -> Sequence[str]:
        choices = _TEXTS[name]
        if name == "label_replace" and self._inside:
            choices = choices[:2]
        return self._random.choice(choices)

    def _buckets(self, depth: int) -> Term:
        if self._random.random() < 0.1:
            return self.vector(depth - 1)
        window = self._random.choice(("1m", "5m"))
        counts = term("vector", f"rate({self._series(('latency_bucket',))}[{window}])")
        if self._random.random() < 0.3:
            counts = self.selector(("latency_bucket",))
        if self._random.random() < 0.5:
            return counts
        return term("vector", f"sum by (le{self._random.choice(('', ', pod', ', zone'))}) (%%)", counts)

    def _aggregation(self, depth: int) -> Term:
        operators = sorted(AGGREGATIONS)
        if self._is_native and self._random.random() < 0.7:
            operators = list(_NATIVE_AGGREGATIONS)
        operator = self._random.choice(operators)
        labels = self._random.choice(_LABELS)
        grouping = self._random.choice(("", f" by ({labels})", f" without ({labels})"))
        if operator in CHOOSERS:
            return self._choosing(operator, grouping)
        operand = self.vector(depth - 1)
        match AGGREGATIONS[operator]:
            case "scalar":
                return term("vector", f"{operator}{grouping} (%%, %%)", self._argument(operator, "scalar", 0), operand)
            case "text":
                return term("vector", f"{operator}{grouping} ({self._random.choice(_TEXTS[operator])[0]}, %%)", operand)
        return term("vector", f"{operator}{grouping} (%%)", operand)

    def _choosing(self, operator: str, grouping: str) -> Term:
        """Of elements without ties, among which Prometheus chooses by chance; of `limitk` only how many."""
        number = term("scalar", self._random.choice(_SCALARS[operator]))
        metrics = (*NATIVE_METRICS, "noise") if self._is_native and operator == "limitk" else ("noise",)
        chosen = term("vector", f"{operator}{grouping} (%%, %%)", number, self.selector(metrics))
        return term("vector", f"count{grouping} (%%)", chosen) if operator == "limitk" else chosen

    def _binary(self, depth: int) -> Term:
        operators = sorted(ARITHMETIC) + sorted(COMPARISONS) + sorted(SET_OPERATORS)
        if self._is_native and self._random.random() < 0.7:
            operators = list(_NATIVE_OPERATORS)
        operator = self._random.choice(operators)
        left = self.vector(depth - 1)
        as_bool = " bool" if operator in COMPARISONS and self._random.random() < 0.3 else ""
        if operator not in SET_OPERATORS and self._random.random() < 0.4:
            sides = [left, self.scalar(depth - 1)]
            self._random.shuffle(sides)
            return term("vector", f"(%% {operator}{as_bool} %%)", *sides)
        if operator in SET_OPERATORS:
            matching = self._random.choice(("", " on (pod)", " on (zone)", " ignoring (code)", " on ()"))
            return term("vector", f"(%% {operator}{matching} %%)", left, self.vector(depth - 1))
        return self._matched(operator + as_bool, left, depth)

    def _matched(self, operator: str, left: Term, depth: int) -> Term:
        match self._random.randrange(5):
            case 0:
                matching = self._random.choice(("", " on (pod)", " ignoring (code)", " on (pod, code)"))
                return term("vector", f"(%% {operator}{matching} %%)", left, self.vector(depth - 1))
            case 1:
                return term("vector", f"(%% {operator} %%)", left, left)
            case 2:
                one = term("vector", "avg by (pod) (%%)", self.vector(depth - 1))
                return term("vector", f"(%% {operator} on (pod) group_left %%)", left, one)
            case 3:
                chosen = "sum" if self._is_native else "max"
                one = term("vector", f"{chosen} by (zone, pod) (%%)", self.vector(depth - 1))
                return term("vector", f"(%% {operator} on (pod) group_right (zone) %%)", one, left)
        sides = [term("vector", "sum by (zone) (%%)", side) for side in (left, self.vector(depth - 1))]
        return term("vector", f"(%% {operator} %%)", *sides)

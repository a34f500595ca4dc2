"""PromQL over columns, with Prometheus' own numbers.

Read `expression.py` (nodes), `parse.py` (text -> nodes, what is refused), `functions.py` (what is supported), then the
way of a step: `lanes.py` (windows that selectors share), `vector.py` (values over elements that stay), `plan.py` (from
nodes to what is computed), `indicator.py` (a result as points). A file for each family of functions: `rate.py`,
`over_time.py`, `spread.py`, `trend.py`, `aggregate.py`, `choose.py`, `histogram.py` (classic ones; `histogram_kinds.py`
where native ones meet them), `arithmetic.py`, `matching.py`, `elementwise.py`, `calendar.py`, `relabel.py`; `native.py`
says what becomes of native histograms in all of them; and `subquery.py`, which takes the way of a step many times.
"""

"""PromQL over columns, with Prometheus' own numbers.

Read `expression.py` (nodes), `parse.py` (text -> nodes, what is refused), `functions.py` (what is supported), then
`plan.py` (nodes -> what is computed at a step) and a file for each family of functions.
"""

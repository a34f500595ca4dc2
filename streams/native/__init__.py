"""Native histograms as values: what one is, and what PromQL computes from them. Knows no series and no columns.

Read `histogram` (what one is, from the wire and to text), `algebra` (scaled, added, compared), `total` (many of them),
`quantile` (what one says), `over_range` (a series of them over time). `bounds`, `zero` and `compensated` are their
arithmetic.
"""

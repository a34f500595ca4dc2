"""Statistics of one indicator: what is usual, and whether it got worse. O(1) a step, bounded memory.

Read `memory.py` (running means, River's), `hours.py` (a week in hours), `baseline.py` (what is usual now), then the
methods, one file each, every one fed with a `reading.py`: `change_ratio.py`, `zscore.py`, `confidence.py` (with
`share.py`: chance in a share of events), `trend.py`. `detector.py` puts them together and says what may teach.

`transient.py` is a bank: all points of a step at once, in columns (`bank.py`, `transient_columns.py`). Its parts, in
the order in which a value meets them: `week.py`, `residuals.py`, `root.py`, `spread.py`, `tail.py`.
"""

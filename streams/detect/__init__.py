"""Statistics of one indicator: what is usual, and whether it got worse. O(1) a step, bounded memory.

Read `memory.py` (running means, River's), `local_time.py` and `hours.py` (four weeks in hours, as people live them),
`baseline.py` (what is usual now), then the methods, one file each, every one fed with a `reading.py`:
`change_ratio.py`, `zscore.py`, `confidence.py` (with `share.py`: chance in a share of events), `trend.py`.
`detector.py` puts them together and says what may teach.
"""

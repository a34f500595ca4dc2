"""Statistics of one indicator: what is usual, and whether it got worse. O(1) a step, bounded memory.

Read `memory.py` (running means, River's), `local_time.py` and `hours.py` (four weeks in hours, as people live them),
`baseline.py` (what is usual now), then the methods, one file each, every one fed with a `reading.py`:
`change_ratio.py`, `zscore.py`, `confidence.py` (with `share.py`: chance in a share of events), `trend.py`.
`detector.py` puts them together and says what may teach.

Persistent shifts of many points at once are numpy's: `bank.py` (rows in columns), `shift_columns.py` (what is
remembered), `daily_profile.py`, `usual_level.py`, `prewhiten.py`, `robust_score.py`, `cusum.py`, `self_calibration.py`,
`recovery.py`, and `change_point.py`, which puts them together.

`transient.py` is a bank: all points of a step at once, in columns (`bank.py`, `transient_columns.py`). Its parts, in
the order in which a value meets them: `week.py`, `residuals.py`, `root.py`, `spread.py`, `tail.py`.
"""

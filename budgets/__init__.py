"""What was promised and what to do about it. Pure: no I/O, no clock, no thread.

Read `spec` (budget files), `event.py` and `order.py` (what travels), `limits.py` and `traffic.py` (one question
each), `time_zone.py` (local time as a table), `alert.py` (states and transitions), `watch.py` (one indicator: its
points, their alerts) with what it says (`evidence.py`, `annotations.py`, `quantity.py`) and what belongs together
(`incident.py`), `baseline_books.py` (versions of baselines, as `baseline_order.py` orders them or `bootstrap.py` makes
them), then the facade `judge.py`. `audit.py`: every order once more, in a chain.
"""

"""Series in columns: labels, which selector takes them, and the windows of their samples.

Read `matchers.py` and `regexes.py` (conditions on labels), `index.py` (labels -> row, over `hashes.py`), `selection.py`
(selector -> rows), `columns.py` (the samples, over `space.py`; native histograms beside them in `histograms.py`),
`window.py` (a range of them that moves from step to step; `moves.py` tells it what late samples have moved), `store.py`
(all of it, with ceilings; `shares.py` counts by service) and `intake.py` (from a record into the store; `lateness.py`
counts how late).
"""

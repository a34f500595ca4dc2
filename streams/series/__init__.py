"""Series in columns: labels, which selector takes them, and the windows of their samples.

Read `matchers.py` and `regexes.py` (conditions on labels), `index.py` (labels -> row, over `hashes.py`), `selection.py`
(selector -> rows), `columns.py` (the samples), `window.py` (a range of them that moves from step to step).
"""

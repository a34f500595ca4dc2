"""Rule files of Prometheus as budgets.

Read in this order: `load.py` (the rules of a file), `condition.py` (an alert's expression as value and limit),
`inline.py` (recorded series as what they are recorded from), `levels.py` (bounds as limit and thresholds),
`convert.py` (alerts to indicators), `write.py` (the budget file).
"""

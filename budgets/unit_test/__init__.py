"""Unit tests of budgets, in promtool's test-file format and a little more: given series, expected values and alerts.

Read in this order: `model.py` (what a test file says), `load.py` (from its text), `play.py` (series through Meter and
Judge), `run.py` (each case held against what came out), `compare.py` (when two of them agree).
"""

"""From bytes to numbers. Pure: no I/O, no clock, no thread.

Read `wire` (remote write), `series` (labels and windows), `promql` (expressions), `detect` (statistics of one
indicator), then the facade `meter.py`, whose output is a `frame.py`.
"""

"""Back-testing: recorded values through the same Judge, one row at a time; what would have fired.

Read `recording.py` (a CSV file's text as columns), `grid.py` (which step a row falls on), `columns.py` (what each
column is watched for), `play.py` (row by row through the Judge), `severity.py` (how strange a row is, 0-1).
"""

"""The web role: history projection, HTTP API and the status page.

Read `main.py` (wiring); then the way in: `projection.py` (the loop over the log), `batch.py` (records as rows),
`history_writer.py`; the way out: `history_reader.py`, `budgets_in_force.py`, `states.py` (what a value means),
`overview.py` (everything that is known now, at once), `documents.py` (what the API answers), `parameters.py` (what
it is asked), `api.py`, `problems.py`, `openapi.py`, `page.py`, `sparkline.py`.
"""

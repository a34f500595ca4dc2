"""The web role: history projection, HTTP API and the status page.

Read `main.py` (wiring); then `history/` (from the log to SQL and back), `budgets_in_force.py`, `states.py` (what a
value means) and `overview.py` (everything that is known now, at once). On top of these stand the API: `documents.py`
(what it answers), `parameters.py` (what it is asked), `api.py`, `baselines.py` with `baseline_documents.py`,
`problems.py`, `openapi.py`; `audit_trail.py` (orders once more); and the page: `page.py`,
`sparkline.py`, `wording.py`, `templates/`, `static/`.
"""

"""Why an alert fired, and why nothing did: words from numbers, the same for the API, the command line and a back-test.

Read `state.py` (what the Judge knew of one point at its newest step, as it travels on the topic `states`),
`condition.py` (one thing that was looked at: value, threshold, whether it holds), `now.py` (every kind of alert of a
point, and what is missing for it to fire), `alert.py` (one event that did).
"""

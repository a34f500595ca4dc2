"""The ingest role: remote write in, blocks of samples out.

Read `main.py` (wiring), `endpoint.py` and `headers.py` (HTTP: every answer), `opening.py` (1.0 or 2.0), `sorting.py`
and `records.py` (from a body to what each service gets), `known_requests.py`, `known_series.py` and `routes.py` (which
services need a series), `sample_log.py` and `lane.py` (into Kafka); for HA pairs `pairs.py`, `elections.py` and
`replica_log.py`.
"""

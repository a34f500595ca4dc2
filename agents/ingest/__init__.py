"""The ingest role: remote write in, blocks of samples out.

Read `main.py` (wiring), `endpoint.py` (HTTP: every answer), `sorting.py` (from a body to what each service gets),
`known_series.py` and `routes.py` (which services need a series), `sample_log.py` and `lane.py` (into Kafka).
"""

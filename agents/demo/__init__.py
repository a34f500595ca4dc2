"""The demonstration: simulated services whose metrics take the same way as anybody's.

Read `traffic.py` (what the services do), `history.py` (days of it as records) and `timelapse.py` (played into
the log), `live.py` (then in real time through the ingest endpoint), `deployments.py` (what was deployed),
`receiver.py` (what a webhook gets). The command is `agents/cli/demo.py`.
"""

"""Everything that touches the world: a folder a role (`ingest`, `worker`, `notifier`, `web`), and what they share.

Read `settings.py`, `kafka` (the log), `orders.py` and `budget_files.py` (what people decided), `probes.py`,
`process.py`, then one role's `main.py`, where its wiring is. `cli` is the command line.
"""

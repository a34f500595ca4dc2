"""The worker role. Read `main.py` (wiring), `agent.py` (the loop), `partition.py` (the core of one partition),
`publish.py` (what leaves, in which order), `recovery.py`, `snapshots.py` and `rewind.py` (how it comes back).
"""

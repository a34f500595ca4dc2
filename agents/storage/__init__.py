"""SQL: what a role keeps beyond the log. Everything but the outbox can be rebuilt from the topics.

Reading order: `metadata.py` (one registry of tables), `database.py` (opening, transactions, migrations), `outbox.py`
(deliveries: the one table that is a source itself), `exclusive.py` (one process at a time), `history.py` (the
projection that the web role reads), `migrations/` (how the tables came to be; one file a change, never edited after
a release).
"""

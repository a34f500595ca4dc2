"""The history's way in and out: Kafka to SQL, and SQL to whoever asks.

Read `projection.py` (the loop over the log), `batch.py` (records as rows), `dead_letters.py` (records that are none),
`writer.py`; then `reader.py` and `buckets.py` (many points as few). The tables are in `agents/storage/history.py`.
"""

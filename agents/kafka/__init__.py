"""The log. Read `topics.py` (what there is), `codecs.py` (records), `clients.py` (connections), `admin.py` (declaring
topics on a cluster), then the embedded broker: `mock_cluster.py`, `journal.py` and `embedded.py`.
"""

"""The log. Read `topics.py` (what there is), `partitions.py` (who lives where), `codecs.py` (records), `clients.py`
(connections), `admin.py` (declaring topics on a cluster), then the embedded broker: `mock_cluster.py`, `journal.py`,
`follower.py` and `embedded.py`.
"""

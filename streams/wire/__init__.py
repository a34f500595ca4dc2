"""Prometheus remote write, from bytes to columns and back.

Read `errors.py` and `limits.py`, then the way of a request: `request.py` (snappy, WriteRequest -> frames), `samples.py`
(the values of many frames at once), `frame.py` (one frame, whatever its shape), `labels.py`, `histogram.py`. What came
before is recognised in `repeats.py` by what `layouts.py` keeps. 2.0 becomes 1.0 in `request_2.py`, or what came before
in `repeats_2.py`. `protobuf.py` knows the wire format, `encode.py` writes requests.
"""

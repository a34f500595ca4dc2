"""librdkafka's in-process broker, reached by ctypes on the library inside confluent-kafka's wheel.

Real sockets: any Kafka client can connect. Memory only; a partition holds 5 MiB or 100,000 batches and drops its
oldest ones silently; no CreateTopics, no compaction, no LogAppendTime, one member a consumer group.
"""

import ctypes
from importlib.metadata import files
from pathlib import Path

# rdkafka_mock.c: what one partition holds before it drops its oldest batch.
PARTITION_BYTES = 5 * 1024 * 1024
PARTITION_BATCHES = 100_000

_PRODUCER = 0


def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka brings.

    Raises:
        RuntimeError: the installed wheel has none.
    """
    for file in files("confluent-kafka") or []:
        if file.name.startswith("librdkafka"):
            return ctypes.CDLL(str(Path(str(file.locate()))))
    raise RuntimeError("confluent-kafka was installed without its librdkafka: install the wheel")


def _declare(library: ctypes.CDLL) -> None:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    library.rd_kafka_conf_new.restype = pointer
    library.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
    library.rd_kafka_new.argtypes = [number, pointer, text, ctypes.c_size_t]
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_destroy.argtypes = [pointer]
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, number]
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    library.rd_kafka_mock_cluster_bootstraps.restype = text
    library.rd_kafka_mock_cluster_destroy.argtypes = [pointer]
    library.rd_kafka_mock_topic_create.argtypes = [pointer, text, number, number]
    library.rd_kafka_mock_topic_create.restype = number
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [pointer, ctypes.c_int32]


class MockCluster:
    """One broker that lives as long as this object; `bootstrap` is where clients connect.

    Raises:
        RuntimeError: librdkafka refused.
    """

    def __init__(self, rebalance_delay_ms: int = 100) -> None:
        self._library = _library()
        _declare(self._library)
        error = ctypes.create_string_buffer(256)
        conf = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(conf, b"log_level", b"3", error, len(error))
        self._client = self._library.rd_kafka_new(_PRODUCER, conf, error, len(error))
        if not self._client:
            raise RuntimeError(f"librdkafka: {error.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise RuntimeError("librdkafka could not start its broker")
        # The default of three seconds would be waited at every start of every role.
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, rebalance_delay_ms)
        self.bootstrap = str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic.

        Raises:
            RuntimeError: librdkafka refused.
        """
        code = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if code != 0:
            raise RuntimeError(f"topic {name}: librdkafka error {code}")

    def close(self) -> None:
        """Stop listening and forget everything."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

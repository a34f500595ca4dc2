"""Where a service lives: the one partition that holds all that its indicators need. Ingest and worker agree on it."""

from aiokafka.partitioner import murmur2


def partition_of(service: str, partitions: int) -> int:
    """The partition of a service: Kafka's own default for its key.

    >>> partition_of("auth-service", 16)
    2
    """
    return int((murmur2(service.encode()) & 0x7FFFFFFF) % partitions)

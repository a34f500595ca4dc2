"""The labels of a series or of an element of a vector, sorted by name, empty values absent."""

Labels = tuple[tuple[str, str], ...]

METRIC_NAME = "__name__"


def keep_labels(labels: Labels, names: frozenset[str]) -> Labels:
    """Only the labels with these names."""
    return tuple([pair for pair in labels if pair[0] in names])


def drop_labels(labels: Labels, names: frozenset[str]) -> Labels:
    """All labels but those with these names."""
    return tuple([pair for pair in labels if pair[0] not in names])


NAME_ONLY = frozenset({METRIC_NAME})


def drop_name(labels: Labels) -> Labels:
    """All labels but the metric name."""
    return drop_labels(labels, NAME_ONLY)

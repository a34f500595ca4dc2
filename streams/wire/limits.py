"""How much one request may ask of us. Each limit is checked before the work that it bounds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Limits of one request.

    max_decoded_bytes: size after snappy, as declared.
    max_series: series in the request, and fields of any other kind beside them.
    max_symbols: strings in the table of a 2.0 request.
    max_labels, max_label_bytes: labels of one series, and their encoded size.
    max_samples: samples, exemplars, histograms and unknown fields that are read one by one. A series with one plain
        sample is read at once with all others of its kind and does not count. One by one is ~1 us each.
    """

    max_decoded_bytes: int = 64 * 1024 * 1024
    max_series: int = 100_000
    max_symbols: int = 500_000
    max_labels: int = 64
    max_label_bytes: int = 16 * 1024
    max_samples: int = 200_000


DEFAULT_LIMITS = WireLimits()

"""Native histograms as values: what one is, and what PromQL computes from them. Knows no series and no columns."""

"""Several probes in the same homes."""

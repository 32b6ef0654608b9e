"""Wrong probes against the catalogue."""

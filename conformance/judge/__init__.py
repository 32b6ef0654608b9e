"""Outcomes against expectations, leaks and known failures, and the tally of a run."""

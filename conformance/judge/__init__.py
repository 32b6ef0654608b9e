"""Outcome against expectation."""

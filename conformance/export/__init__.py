"""Scenarios as archives and an index, for tests that are written in any language."""

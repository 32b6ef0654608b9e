"""Conformance suite and fixture-home generator for container start-up probes."""

__all__ = ["__version__"]

__version__ = "0.1.0"

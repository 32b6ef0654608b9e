"""Homes nobody thought of, and what a probe gets wrong in them."""

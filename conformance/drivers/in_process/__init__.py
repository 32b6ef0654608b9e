"""A gate in the same process: a set clock, a CLI that never starts, and what leaves the fake."""

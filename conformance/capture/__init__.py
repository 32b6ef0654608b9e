"""A real home as a scenario file, without its secrets."""

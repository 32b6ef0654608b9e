"""Managers: tables, Python objects and commands that say what they do with an exit code."""

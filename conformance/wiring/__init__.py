"""The manifest that runs a probe: where it runs it, whether it lets it answer, and what it sees."""

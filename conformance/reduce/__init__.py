"""The smallest scenario in which a probe still gives the same wrong answer."""

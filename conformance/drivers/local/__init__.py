"""Run a local command as the probe."""

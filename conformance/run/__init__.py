"""One run: a request, and all that is made for it."""

__all__ = ["RUN_PLUGIN"]

#: The name under which ``probe-conformance run`` registers the pytest plugin that holds its run.
RUN_PLUGIN = "probe-conformance-run"

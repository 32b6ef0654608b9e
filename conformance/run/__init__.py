"""One run: a request, and all that is made for it."""

__all__ = ["RUN_PLUGIN", "SESSION_PLUGIN"]

#: The name under which ``probe-conformance run`` registers the pytest plugin that holds its run.
RUN_PLUGIN = "probe-conformance-run"
#: The name of the pytest plugin that collects scenario files and runs their scenarios.
SESSION_PLUGIN = "probe-conformance-session"

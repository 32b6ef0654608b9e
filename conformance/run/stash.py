"""Where the plugin, its items and its fixtures find each other in a pytest session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.run.items import Session

__all__ = ["RUN_PLUGIN", "SESSION"]

SESSION: pytest.StashKey[Session] = pytest.StashKey()

#: The name under which ``probe-conformance run`` registers what it has made.
RUN_PLUGIN = "probe-conformance-run"

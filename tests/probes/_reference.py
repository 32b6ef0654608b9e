"""The reference probe of `slot` as a module, for probes here that are like it but for one vice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__all__ = ["slot"]

sys.dont_write_bytecode = True  # no __pycache__ beside the reference
_spec = importlib.util.spec_from_file_location(
    "slot", Path(__file__).parents[2] / "fixtures" / "probes" / "slot.py"
)
assert _spec is not None
assert _spec.loader is not None
slot = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(slot)

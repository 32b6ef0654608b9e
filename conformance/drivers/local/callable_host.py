"""Run a Python callable as the probe: a separate program that imports nothing from the package.

Arguments: a module, and the name of a callable in it. The callable is called without arguments and
returns the exit code. The search for the module starts in the current directory. With a third
argument nothing is called: the callable is only looked up.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

#: The exit code when there is nothing to call; stderr says why.
NOTHING_TO_CALL = 3


def main(module: str, name: str, *only_look: str) -> int:
    """Return the exit code of the probe."""
    sys.dont_write_bytecode = True  # a probe leaves nothing behind
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as e:
        if not only_look or not f"{module}.".startswith(f"{e.name}."):
            raise
        return nothing(f"no module '{module}'")
    for part in name.split("."):
        if only_look and not hasattr(found, part):
            return nothing(f"module '{module}' has no '{name}'")
        found = getattr(found, part)
    if only_look:
        return 0 if callable(found) else nothing(f"'{module}:{name}' cannot be called")
    code = found()
    if type(code) is not int:  # None would mean success, and True failure
        raise TypeError(f"{module}:{name} returned {type(code).__name__}, not an exit code")
    return code


def nothing(why: str) -> int:
    """Say *why* there is nothing to call; return the exit code for that."""
    sys.stderr.write(f"{why}\n")
    return NOTHING_TO_CALL


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Run a Python callable as the probe: a program of its own that knows nothing of the package.

Arguments: a module, and the name in it of what is called, without arguments. What that returns is the exit code. The
module is looked for from the current directory on. With a third argument nothing is called: it is only looked up.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

#: What the program ends with where there is nothing to call; the words stand on stderr.
NOTHING_TO_CALL = 3


def main(module: str, name: str, *only_look: str) -> int:
    """Return the exit code of the probe."""
    sys.dont_write_bytecode = True  # running it leaves nothing behind
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
    if type(code) is not int:  # None would be success, and True a failure: a probe has to say a number
        raise TypeError(f"{module}:{name} returned {type(code).__name__}, not an exit code")
    return code


def nothing(why: str) -> int:
    """Say *why* there is nothing to call."""
    sys.stderr.write(f"{why}\n")
    return NOTHING_TO_CALL


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

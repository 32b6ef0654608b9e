"""Start a command on a machine that is not the real one: other files in some places, another user.

Run as a program: ``python -I machine.py JSON``, with ``binds`` (a path to what to mount there), ``uid`` (or null to stay
who one is), ``env`` and ``argv``. Exit status 75 says that this system does not allow it, and standard error why.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

NOT_ALLOWED = 75
_ISOLATION = Path(__file__).parents[1] / "conformance" / "drivers" / "local" / "isolation.py"


def main(wanted: dict[str, Any]) -> None:
    """Become what is *wanted*."""
    spec = importlib.util.spec_from_file_location("isolation", _ISOLATION)
    assert spec is not None
    assert spec.loader is not None
    isolation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(isolation)

    def use() -> None:
        isolation.mount(None, "/", None, isolation.MS_REC | isolation.MS_PRIVATE)
        for path, source in wanted["binds"].items():
            isolation.mount(source, path, None, isolation.MS_BIND | isolation.MS_REC)

    if reason := isolation.moved(isolation.CLONE_NEWNS, use):
        print(f"no mounts of one's own: {reason}", file=sys.stderr)
        sys.exit(NOT_ALLOWED)
    uid = wanted["uid"]
    if isinstance(uid, int):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    argv = wanted["argv"]
    os.execve(argv[0], argv, wanted["env"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

"""pytest as users of the plug-in call it, in directories of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support_cli import environment, suite

import conformance

#: The module that pytest loads by itself where the package is installed.
PLUGIN = "pytest_probe_conformance"
PACKAGE_ROOT = os.fspath(Path(conformance.__file__).parents[1])
TIMEOUT = 300


def run_pytest(
    directory: Path,
    *arguments: str,
    plugins: Sequence[str] = (PLUGIN,),
    safe_path: bool = True,
    forked: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run pytest in *directory* as people do who have the suite installed: it loads the plug-in.

    Without *safe_path*, modules are looked for in *directory* first, as by ``python -m pytest``. A
    *forked* pytest has read the modules of the suite before; a test of imports needs another.
    """
    loaded = [word for name in ("xdist", *plugins, "no:cacheprovider") for word in ("-p", name)]
    plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "COLUMNS": "200"}
    if forked and safe_path:
        env = environment(**plain)
        return suite(directory, *loaded, *arguments, env=env, program="pytest", timeout=TIMEOUT)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *loaded, *arguments],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": PACKAGE_ROOT,
            "PYTHONSAFEPATH": "1" if safe_path else "",
            **plain,
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the outcome of each item that a verbose pytest names, with or without workers."""
    found = {}
    for line in done.stdout.splitlines():
        words = line.replace("[", " [", 1).split() if line.startswith("[gw") else line.split()
        for outcome in {"PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"} & set(words[:6]):
            names = [word for word in words if "::" in word]
            if (names and not line.startswith((outcome, "_"))) or line.startswith("[gw"):
                found[names[0]] = outcome
    return found

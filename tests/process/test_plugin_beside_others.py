"""The pytest plug-in beside what else there is: packages of its own name, and other plug-ins."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import written
from support_pytest import outcomes, run_pytest

#: Where a project may keep a package or module called conformance, and how pytest comes to find it.
PROJECTS = {
    "python -m pytest, package": ("conformance/__init__.py", "", "test_own.py"),
    "python -m pytest, module": ("conformance.py", "", "test_own.py"),
    "pythonpath": ("src/conformance/__init__.py", "pythonpath = src", "test_own.py"),
    "conftest beside it": ("conformance/__init__.py", "", "test_own.py"),
    "tests inside": ("tests/conformance/__init__.py", "", "tests/conformance/test_own.py"),
    "tests inside, importlib": (
        "conformance/__init__.py",
        "addopts = --import-mode=importlib",
        "conformance/test_own.py",
    ),
}


def project(directory: Path, kind: str, test: str) -> bool:
    """Write a project of this *kind* with a *test*; return whether Python looks there last."""
    package, setting, file = PROJECTS[kind]
    written(directory / package, "theirs = True\n")
    written(directory / "pytest.ini", f"[pytest]\n{setting}\n")
    written(directory / file, test)
    if kind == "conftest beside it":
        written(directory / "conftest.py", "")
    return not kind.startswith("python -m")


@pytest.mark.parametrize(("kind", "workers"), [*((kind, "0") for kind in PROJECTS), ("python -m pytest, package", "2")])
def test_a_package_called_conformance_is_its_projects_own(tmp_path: Path, kind: str, workers: str) -> None:
    """Its tests run as ever; what asks for a fixture of ours is told why it cannot have it."""
    test = """
    import sys
    from conformance import theirs

    def test_own():
        assert theirs
        loaded = {name for name in sys.modules if name.startswith("conformance.")}
        assert loaded <= {"conformance.test_own"}

    def test_home(fake_home):
        pass

    def test_probe(probe):
        pass
    """
    safe_path = project(tmp_path, kind, test)

    done = run_pytest(tmp_path, "-n", workers, "-v", safe_path=safe_path)

    found = {name.rpartition("::")[2]: outcome for name, outcome in outcomes(done).items()}
    assert found == {"test_own": "PASSED", "test_home": "ERROR", "test_probe": "ERROR"}
    hidden = f"{tmp_path / PROJECTS[kind][0]} hides the package 'conformance' of probe-conformance"
    for name in ("fake_home", "probe"):
        assert f"the fixture '{name}' cannot be used here: {hidden}; take that off" in done.stdout
    for words in ("Traceback", "pytest_probe_conformance.py", ">  "):
        assert words not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("python -m pytest, package", "--conformance-probe=true"),
        ("python -m pytest, module", "--conformance-contract=preflight"),
        ("pythonpath", "--conformance-probe=true"),
        ("conftest beside it", "--conformance-image=slot-image:ci"),
    ],
)
def test_options_say_in_one_line_that_such_a_package_hides_ours(tmp_path: Path, kind: str, option: str) -> None:
    safe_path = project(tmp_path, kind, "def test_own():\n    pass\n")

    done = run_pytest(tmp_path, option, safe_path=safe_path)

    assert (done.returncode, done.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    [line] = [line for line in done.stderr.splitlines() if line]
    name, hides = option.partition("=")[0], tmp_path / PROJECTS[kind][0]
    assert line.startswith(f"ERROR: {name} cannot be used here: {hides} hides the package")

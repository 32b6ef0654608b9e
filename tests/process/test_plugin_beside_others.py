"""The pytest plug-in beside what else there is: packages of its own name, and other plug-ins."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from factories import written
from support_pytest import PLUGIN, outcomes
from support_pytest import run_pytest as run_any_pytest

from conformance.bundled import data_root

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

#: What is forked has our package already, which is what these tests are about.
run_pytest = functools.partial(run_any_pytest, forked=False)


def project(directory: Path, kind: str, test: str) -> bool:
    """Write a project of this *kind* with a *test*; return whether Python looks there last."""
    package, setting, file = PROJECTS[kind]
    written(directory / package, "theirs = True\n")
    written(directory / "pytest.ini", f"[pytest]\n{setting}\n")
    written(directory / file, test)
    if kind == "conftest beside it":
        written(directory / "conftest.py", "")
    return not kind.startswith("python -m")


@pytest.mark.parametrize(
    ("kind", "workers"), [*((kind, "0") for kind in PROJECTS), ("python -m pytest, package", "2")]
)
@pytest.mark.slow
def test_a_package_called_conformance_is_its_projects_own(
    tmp_path: Path, kind: str, workers: str
) -> None:
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
@pytest.mark.slow
def test_options_say_in_one_line_that_such_a_package_hides_ours(
    tmp_path: Path, kind: str, option: str
) -> None:
    safe_path = project(tmp_path, kind, "def test_own():\n    pass\n")

    done = run_pytest(tmp_path, option, safe_path=safe_path)

    assert (done.returncode, done.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    [line] = [line for line in done.stderr.splitlines() if line]
    name, hides = option.partition("=")[0], tmp_path / PROJECTS[kind][0]
    assert line.startswith(f"ERROR: {name} cannot be used here: {hides} hides the package")


#: The plug-ins of a project that uses pyfakefs.
FAKES = ["pyfakefs.pytest_plugin", PLUGIN]


@pytest.mark.slow
def test_fake_homes_are_seen_in_fake_file_systems_too(tmp_path: Path) -> None:
    """Whichever comes first, nothing wrong is left for the tests that follow."""
    written(
        tmp_path / "test_own.py",
        """
        import os
        import pytest
        from pathlib import Path
        from pyfakefs.fake_filesystem_unittest import Patcher

        FILE = ".claude/.credentials/session.json"
        BOTH = ["claude/nested-session", "codex/api-key"]
        seen = []

        @pytest.fixture
        def home(fake_home):
            return fake_home("claude/nested-session")

        def check(home, fake):
            seen.append(home.path)
            with open(f"{home.path}/{FILE}") as file:
                assert "accessToken" in file.read()
            assert (home.path / FILE).is_file()
            assert Path(home.path, FILE).stat().st_size > 0
            assert sorted(os.listdir(home.path)) == [".claude", ".claude.json"]
            assert "claude" in os.listdir(home.env["PATH"].partition(":")[0])
            assert os.path.exists(__file__) is not fake

        def test_fake_first(fs, fake_home, probe):
            home = fake_home("claude/nested-session")
            check(home, fake=True)
            assert probe(home).code == 0
            check(home, fake=True)

        def test_fixture_first(fake_home, probe, fs):
            home = fake_home("claude/nested-session")
            check(home, fake=True)
            assert probe(home).code == 0

        def test_home_first(home, fs):
            check(home, fake=True)
            (home.path / FILE).write_text("changed")
            assert (home.path / FILE).read_text() == "changed"

        def test_asked_for_in_the_test(fs, request):
            check(request.getfixturevalue("fake_home")("claude/nested-session"), fake=True)

        def test_paused(fs, fake_home):
            fs.pause()
            home = fake_home("claude/nested-session")
            check(home, fake=False)
            fs.resume()
            check(home, fake=True)

        def test_without_the_fixture_of_pyfakefs(fake_home):
            with Patcher():
                home = fake_home("claude/nested-session")
                check(home, fake=True)
            check(home, fake=False)

        class TestFakeOfAClass:
            @pytest.mark.parametrize("id_", BOTH)
            def test_homes_go_with_their_test(self, fs_class, fake_home, id_):
                home = fake_home(id_)
                assert os.listdir(home.path)
                assert not any(os.path.exists(path) for path in seen)
                assert list(os.walk("/"))
                seen.append(home.path)

        @pytest.mark.parametrize("id_", BOTH)
        def test_without_a_fake(fake_home, id_):
            assert os.path.exists(__file__)
            assert not any(os.path.exists(path) for path in seen)
            assert os.listdir(fake_home(id_).path)
        """,
    )

    ready = ["--conformance-probe", 'sh -c "test -f $HOME/.claude/.credentials/session.json"']
    done = run_pytest(tmp_path, *ready, plugins=FAKES)

    assert (done.returncode, done.stderr) == (pytest.ExitCode.OK, ""), done.stdout
    assert "10 passed" in done.stdout


@pytest.mark.slow
def test_scenarios_are_run_on_real_files_beside_tests_with_fake_ones(tmp_path: Path) -> None:
    """A scenario that waits is run in a thread, and a fake of pyfakefs is one for all threads."""
    for id_ in ("claude/fifo-only", "claude/baseline-only"):
        source = data_root() / "scenarios" / f"{id_}.toml"
        written(tmp_path / "scenarios" / f"{id_}.toml", source.read_text())
    written(
        tmp_path / "test_own.py",
        """
        import os
        import time

        def test_fake(fs):
            time.sleep(1)

        def test_fake_of_the_session(fs_session):
            assert not os.path.exists(__file__)
        """,
    )

    probe = ["--conformance-probe", 'sh -c "sleep 0.2; exit 65"']
    done = run_pytest(tmp_path, "test_own.py", "scenarios", *probe, "-v", plugins=FAKES)

    assert outcomes(done) == {
        "test_own.py::test_fake": "PASSED",
        "test_own.py::test_fake_of_the_session": "PASSED",
        "scenarios/claude/baseline-only.toml::slot": "PASSED",
        "scenarios/claude/fifo-only.toml::slot": "PASSED",
    }
    assert done.returncode == pytest.ExitCode.OK

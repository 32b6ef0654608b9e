"""The pytest plugin as its users meet it: options, items, outcomes, fixtures, and silence where no probe is named."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from factories import written
from support_pytest import outcomes, run_pytest

from conformance.bundled import data_root

WORKERS = ["0", pytest.param("2", marks=pytest.mark.slow)]
#: Probes whose answer is always the same.
READY = ["--conformance-probe", "sh -c 'exit 0'"]
TRUE = ["--conformance-probe", "true"]
SCENARIO = """
summary = "A scenario of one's own"
origin = "this test"
agent = "claude"
control = "claude/baseline-only"

[expect]
slot = "ready"

[home.files]
".claude/session" = "{secret}"
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A directory with a part of the bundled catalogue, as in a checkout of it."""
    for id_ in (
        "claude/nested-session",
        "claude/baseline-only",
        "codex/api-key",
        "agent/unmapped",
        "codex/json-null",
    ):
        written(
            tmp_path / "scenarios" / f"{id_}.toml",
            (data_root() / "scenarios" / f"{id_}.toml").read_text(),
        )
    return tmp_path


@pytest.mark.parametrize("workers", WORKERS)
def test_scenario_files_are_items_named_by_file_and_contract(catalogue: Path, workers: str) -> None:
    done = run_pytest(catalogue, "scenarios/", *READY, "-n", workers, "-v")

    assert outcomes(done) == {
        "scenarios/agent/unmapped.toml::slot": "FAILED",
        "scenarios/claude/baseline-only.toml::slot": "FAILED",
        "scenarios/claude/nested-session.toml::slot": "PASSED",
        "scenarios/codex/api-key.toml::slot": "PASSED",
        "scenarios/codex/json-null.toml::slot": "PASSED",
    }
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "wrong-verdict: expected creds-missing (65), got ready (0)" in done.stdout
    assert "control: claude/nested-session expects ready (0)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("workers", WORKERS)
def test_the_contract_chooses_the_items(catalogue: Path, workers: str) -> None:
    refuses = ["--conformance-probe", "sh -c 'exit 1'", "--conformance-contract", "preflight"]

    done = run_pytest(catalogue, "scenarios/", *refuses, "-n", workers, "-v")

    assert outcomes(done) == {
        "scenarios/claude/baseline-only.toml::preflight": "PASSED",
        "scenarios/claude/nested-session.toml::preflight": "PASSED",
    }
    assert done.returncode == pytest.ExitCode.OK


@pytest.mark.parametrize("workers", WORKERS)
def test_the_agent_chooses_the_items(catalogue: Path, workers: str) -> None:
    agent = ["--conformance-agent", "codex"]

    done = run_pytest(catalogue, "scenarios/", *READY, *agent, "-n", workers, "-v")

    assert outcomes(done) == {
        "scenarios/codex/api-key.toml::slot": "PASSED",
        "scenarios/codex/json-null.toml::slot": "PASSED",
    }


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.slow
def test_advice_passes_unless_it_is_to_count(catalogue: Path, workers: str) -> None:
    written(
        catalogue / "mild.toml",
        """
        name = "mild"
        version = "1"
        summary = "As slot"
        extends = "slot"
        [rules]
        always-alone = { level = "should" }
        """,
    )
    leaves = ["--conformance-probe", "sh -c 'sleep 30 > /dev/null 2>&1 &'"]
    arguments = ["scenarios/codex/api-key.toml", *leaves, "--conformance-contract", "mild.toml"]

    mild = run_pytest(catalogue, *arguments, "-n", workers, "-v")
    strict = run_pytest(catalogue, *arguments, "--conformance-strict", "-n", workers, "-v")

    assert outcomes(mild) == {"scenarios/codex/api-key.toml::mild": "PASSED"}
    assert outcomes(strict) == {"scenarios/codex/api-key.toml::mild": "FAILED"}
    assert "left-process: still running after the probe had ended" in strict.stdout


def test_one_item_can_be_chosen_by_its_name(catalogue: Path) -> None:
    done = run_pytest(catalogue, "scenarios/codex/api-key.toml::slot", *READY, "-v")

    assert outcomes(done) == {"scenarios/codex/api-key.toml::slot": "PASSED"}


@pytest.mark.parametrize("workers", WORKERS)
def test_each_result_has_its_own_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    own = tmp_path / "scenarios" / "mine"
    written(own / "conforms.toml", SCENARIO)
    written(own / "deviates.toml", SCENARIO.replace('"ready"', '"creds-invalid"'))
    written(own / "known.toml", SCENARIO.replace('"ready"', '"creds-invalid"'))
    written(
        own / "broke.toml",
        SCENARIO + '"file-{n}" = { text = "many", count = 2 }\n"file-2" = "one"\n',
    )
    levels = "d" * 200
    written(
        own / "unsupported.toml", SCENARIO + f'"{"/".join([levels] * 14)}/file" = "deep down"\n'
    )
    known = written(tmp_path / "known.toml", '[known-failures]\n"mine/known" = "issue 12"\n')
    cache = tmp_path.joinpath(*["c" * 250] * 6)
    cache.mkdir(parents=True)

    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))  # so far down that the deep home is too deep
    arguments = [*READY, "--conformance-known-failures", known.name, "-n", workers, "-v", "-rxs"]
    done = run_pytest(tmp_path, "scenarios", *arguments)

    assert outcomes(done) == {
        "scenarios/mine/broke.toml::slot": "ERROR",
        "scenarios/mine/conforms.toml::slot": "PASSED",
        "scenarios/mine/deviates.toml::slot": "FAILED",
        "scenarios/mine/known.toml::slot": "XFAIL",
        "scenarios/mine/unsupported.toml::slot": "SKIPPED",
    }
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "two entries make" in done.stdout
    assert "unsupported: cannot build" in done.stdout
    assert "issue 12" in done.stdout


def test_a_known_failure_that_conforms_by_now_fails(catalogue: Path) -> None:
    known = written(catalogue / "known.toml", '[known-failures]\n"codex/api-key" = "issue 12"\n')

    arguments = ["scenarios/codex", "--conformance-known-failures", known.name, "-n", "0", "-v"]
    done = run_pytest(catalogue, *READY, *arguments)

    assert outcomes(done) == {
        "scenarios/codex/api-key.toml::slot": "FAILED",
        "scenarios/codex/json-null.toml::slot": "PASSED",
    }
    assert "it conforms: take it out of" in done.stdout


def test_without_a_probe_nothing_is_collected_and_nothing_is_imported(catalogue: Path) -> None:
    written(
        catalogue / "test_nothing.py",
        """
        import sys

        def test_nothing():
            assert sorted({"conformance", "msgspec", "rich", "click"} & set(sys.modules)) == []
            assert "pytest_probe_conformance" in sys.modules
        """,
    )

    done = run_pytest(catalogue, "-v", forked=False)

    assert outcomes(done) == {"test_nothing.py::test_nothing": "PASSED"}
    assert done.returncode == pytest.ExitCode.OK


def test_without_a_probe_a_directory_of_scenarios_holds_no_tests(catalogue: Path) -> None:
    assert run_pytest(catalogue, "scenarios").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("option", ["--fixtures", "--markers", "--help", "--version"])
@pytest.mark.slow
def test_pytests_own_questions_are_answered_as_ever(tmp_path: Path, option: str) -> None:
    done = run_pytest(tmp_path, option)

    assert (done.returncode, done.stderr.replace(f"pytest {pytest.__version__}", "").strip()) == (
        0,
        "",
    )


def test_the_fixtures_and_options_say_what_they_are(tmp_path: Path) -> None:
    fixtures, options = (
        run_pytest(tmp_path, "--fixtures").stdout,
        run_pytest(tmp_path, "--help").stdout,
    )

    assert "Build fake homes" in fixtures
    assert "Run the probe of ``--conformance-probe``" in fixtures
    [ours] = [block for block in options.split("\n\n") if "--conformance-" in block]
    lines = [line for line in ours.splitlines() if line]
    assert lines[0] == "probe-conformance, for container start-up probes:"
    # Each option stands at the beginning of a line; beside it or below is what it is for.
    assert [line.split()[0] for line in lines[1:] if line.startswith("  --")] == [
        "--conformance-probe=CMD",
        "--conformance-image=REF",
        "--conformance-python=MODULE:NAME",
        "--conformance-in-process",
        "--conformance-truth=TRUE,FALSE",
        "--conformance-isolation={fresh,shared,both}",
        "--conformance-contract=NAME|FILE",
        "--conformance-agent=NAME",
        "--conformance-as-of=VERSION",
        "--conformance-strict",
        "--conformance-scenarios=DIR",
        "--conformance-env=KEY=VALUE",
        "--conformance-pass-env=KEY",
        "--conformance-allow-write=PATTERN",
        "--conformance-repeat=N",
        "--conformance-keep=DIR",
        "--conformance-known-failures=FILE",
    ]


def test_a_further_write_can_be_named(catalogue: Path) -> None:
    probe = ["--conformance-probe", "sh -c 'echo x > \"$HOME/.probe\"; exit 0'"]
    item = "scenarios/claude/nested-session.toml"

    refused = run_pytest(catalogue, item, *probe, "-v")
    allowed = run_pytest(catalogue, item, *probe, "--conformance-allow-write", ".probe")

    assert outcomes(refused) == {f"{item}::slot": "FAILED"}
    assert "allowed: to write .probe in the HOME" in allowed.stdout.splitlines()
    assert allowed.returncode == 0


def test_options_of_a_project_are_its_own(tmp_path: Path) -> None:
    """Nothing but names that begin with --conformance- is taken, on the command line and in the code."""
    names = "probe image python isolation contract agent scenarios env pass-env allow-write repeat keep known-failures conformance"
    written(
        tmp_path / "conftest.py",
        f"""
        def pytest_addoption(parser):
            for name in {names.split()}:
                parser.addoption(f"--{{name}}")
        """,
    )
    written(
        tmp_path / "test_own.py",
        f"""
        def test_own(pytestconfig):
            for name in {names.replace("-", "_").split()}:
                assert getattr(pytestconfig.option, name) == "mine"
        """,
    )

    done = run_pytest(tmp_path, *(f"--{name}=mine" for name in names.split()))

    assert (done.returncode, done.stderr) == (pytest.ExitCode.OK, "")


def test_options_are_not_abbreviated(catalogue: Path) -> None:
    done = run_pytest(catalogue, "--conformance-pro", "true")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --conformance-pro" in done.stderr


def test_messages_speak_of_the_options_of_pytest(catalogue: Path) -> None:
    done = run_pytest(catalogue, *TRUE, "--conformance-image", "slot-image:ci")

    message = "--conformance-probe and --conformance-image name two probes; give one of them"
    assert done.stderr.splitlines()[0] == f"ERROR: {message}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--conformance-probe", "no-such-probe"], "no probe 'no-such-probe'"),
        (["--conformance-probe", ""], "--conformance-probe is empty"),
        (["--conformance-probe", "'"], "--conformance-probe cannot be split"),
        (["--conformance-probe", "/etc/passwd"], "the probe '/etc/passwd' is not executable"),
        ([*TRUE, "--conformance-contract", "no-such"], "no contract 'no-such'"),
        ([*TRUE, "--conformance-env", "X"], "'X' is no KEY=VALUE"),
        ([*TRUE, "--conformance-env", "HOME=/"], "HOME is set by the contract"),
        ([*TRUE, "--conformance-pass-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        ([*TRUE, "--conformance-repeat", "0"], "--conformance-repeat is less than 1"),
        (
            [*TRUE, "--conformance-scenarios", "no-such"],
            "no such directory; --conformance-scenarios takes a directory",
        ),
        ([*TRUE, "--conformance-known-failures", "no-such"], "cannot be read"),
        ([*TRUE, "--conformance-known-failures", "known.toml"], "no scenario 'claude/no-such'"),
        ([*TRUE, "--conformance-keep", "scenarios"], "is not empty"),
    ],
)
@pytest.mark.slow
def test_a_wrong_request_is_one_line(catalogue: Path, arguments: list[str], words: str) -> None:
    """Before any worker is started: with one there is nothing else to be seen."""
    written(catalogue / "known.toml", '[known-failures]\n"claude/no-such" = "a slip"\n')

    done = run_pytest(catalogue, "scenarios", "-n", "2", *arguments)

    assert (done.returncode, done.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("ERROR: ")
    assert words in lines[0]


@pytest.mark.parametrize("workers", WORKERS)
def test_a_bad_scenario_file_is_an_error_that_names_file_and_key(
    catalogue: Path, workers: str
) -> None:
    """Without a directory of scenarios among the arguments nothing has read the file before it is collected."""
    bad = written(
        catalogue / "scenarios" / "mine" / "bad.toml", SCENARIO.replace("summary", "sumary")
    )

    done = run_pytest(catalogue, *READY, "-n", workers)

    assert done.returncode in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED)
    assert f"{bad}: sumary: unknown key" in done.stdout
    for words in ("INTERNALERROR", "Traceback", "FileError", ".py:"):
        assert words not in done.stdout + done.stderr


@pytest.mark.parametrize("workers", WORKERS)
def test_a_bad_file_in_the_directory_that_is_asked_for_is_one_line_each(
    catalogue: Path, workers: str
) -> None:
    bad = [
        written(catalogue / "scenarios" / "mine" / name, "summary = ").resolve()
        for name in ("bad.toml", "worse.toml")
    ]

    done = run_pytest(catalogue, "scenarios", *READY, "-n", workers)

    assert (done.returncode, done.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    lines = [line for line in done.stderr.splitlines() if line]
    assert [line.removeprefix("ERROR: ").split(": ")[0] for line in lines] == list(map(str, bad))


def test_other_toml_files_are_ignored(catalogue: Path) -> None:
    written(catalogue / "pyproject.toml", "[project]\nname = 'mine'\n")
    written(catalogue / "data" / "settings.toml", "not even TOML")
    written(catalogue / "scenarios" / "layers" / "mine.toml", '[files]\n"a" = "b"\n')

    done = run_pytest(catalogue, *READY, "--co", "-q")

    assert [line for line in done.stdout.splitlines() if "::" in line] == [
        "scenarios/agent/unmapped.toml::slot",
        "scenarios/claude/baseline-only.toml::slot",
        "scenarios/claude/nested-session.toml::slot",
        "scenarios/codex/api-key.toml::slot",
        "scenarios/codex/json-null.toml::slot",
    ]
    assert done.returncode == pytest.ExitCode.OK


def test_scenarios_of_ones_own_stand_beside_ones_tests(tmp_path: Path) -> None:
    """A layer of one's own, a control from the bundled catalogue, and a test that has nothing to do with it."""
    written(
        tmp_path / "scenarios" / "layers" / "login.toml",
        'summary = "A login"\n[files]\n".claude/login" = "{secret}"\n',
    )
    scenario = SCENARIO.partition("[home.files]")[0] + '[home]\ninclude = ["login"]\n'
    written(tmp_path / "scenarios" / "mine" / "own-layer.toml", scenario)
    written(tmp_path / "test_other.py", "def test_other():\n    pass\n")

    done = run_pytest(tmp_path, *READY, "-n", "0", "-v")

    assert outcomes(done) == {
        "scenarios/mine/own-layer.toml::slot": "PASSED",
        "test_other.py::test_other": "PASSED",
    }
    assert done.returncode == pytest.ExitCode.OK


@pytest.mark.parametrize("workers", WORKERS)
def test_the_options_of_the_probe_reach_it(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    probe = 'sh -c \'[ "$GIVEN $PASSED" = "1 2" ] && echo x >> "$LOG"\''
    monkeypatch.setenv("PASSED", "2")
    log = catalogue / "log"
    variables = ["--conformance-env", "GIVEN=1", "--conformance-env", f"LOG={log}"]
    arguments = [*variables, "--conformance-pass-env", "PASSED", "--conformance-repeat", "3"]

    words = ["--conformance-probe", probe, *arguments, "-n", workers, "-v"]
    done = run_pytest(catalogue, "scenarios/codex", *words)

    assert set(outcomes(done).values()) == {"PASSED"}
    assert log.read_text() == "x\n" * 6


@pytest.mark.parametrize("workers", WORKERS)
def test_homes_of_what_deviates_are_kept_where_one_wants(catalogue: Path, workers: str) -> None:
    arguments = [*READY, "--conformance-keep", "kept", "-n", workers]
    done = run_pytest(catalogue, "scenarios/claude", *arguments)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert sorted(path.name for path in (catalogue / "kept").iterdir()) == ["claude"]
    assert sorted(path.name for path in (catalogue / "kept" / "claude").iterdir()) == [
        "baseline-only"
    ]
    assert (
        catalogue / "kept" / "claude" / "baseline-only" / "home" / ".claude" / "CLAUDE.md"
    ).is_file()


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.slow
def test_ones_own_tests_can_run_the_probe_in_fake_homes(tmp_path: Path, workers: str) -> None:
    written(
        tmp_path / "test_own.py",
        """
        import pytest
        from conformance.errors import UsageError

        def test_ready(fake_home, probe):
            home = fake_home("claude/nested-session")
            assert (home.path / ".claude" / ".credentials" / "session.json").is_file()
            assert home.env["HOME"] == str(home.path)
            assert home.env["WOVED_TASK_AGENT"] == "claude"
            outcome = probe(home)
            assert (outcome.code, outcome.stdout) == (0, b"nested\\n")

        def test_two_homes(fake_home, probe):
            homes = [fake_home("claude/no-dot-claude"), fake_home("claude/no-dot-claude")]
            assert homes[0].path != homes[1].path
            assert [probe(home).code for home in homes] == [65, 65]

        def test_no_such_scenario(fake_home):
            with pytest.raises(UsageError, match="did you mean claude/nested-session"):
                fake_home("claude/nested-sesion")
        """,
    )
    probe = 'sh -c "if [ -f $HOME/.claude/.credentials/session.json ]; then echo nested; else exit 65; fi"'

    done = run_pytest(tmp_path, "--conformance-probe", probe, "-n", workers, "-v")

    assert outcomes(done) == {
        "test_own.py::test_no_such_scenario": "PASSED",
        "test_own.py::test_ready": "PASSED",
        "test_own.py::test_two_homes": "PASSED",
    }
    assert list(Path(os.environ["XDG_CACHE_HOME"], "probe-conformance", "runs").iterdir()) == []


def test_fake_homes_need_no_probe_and_a_probe_says_when_it_is_missing(tmp_path: Path) -> None:
    written(
        tmp_path / "test_own.py",
        """
        def test_home(fake_home):
            assert list(fake_home("claude/empty-dot-claude").path.iterdir())

        def test_probe(probe):
            pass
        """,
    )

    done = run_pytest(tmp_path, "-v")

    assert outcomes(done) == {
        "test_own.py::test_home": "PASSED",
        "test_own.py::test_probe": "ERROR",
    }
    message = "the fixture 'probe' needs a probe; call pytest with --conformance-probe CMD"
    assert done.stdout.splitlines().count(message) == 1
    assert "Traceback" not in done.stdout


def test_junit_files_of_plain_pytest_say_what_a_scenario_was(catalogue: Path) -> None:
    run_pytest(catalogue, "scenarios/claude", *READY, "--junitxml", "junit.xml")

    found = {
        case.attrib["classname"]: {
            one.attrib["name"]: one.attrib["value"] for one in case.iter("property")
        }
        for case in ET.parse(catalogue / "junit.xml").iter("testcase")
    }
    assert {name: properties["conformance.result"] for name, properties in found.items()} == {
        "scenarios.claude.baseline-only.toml": "deviates",
        "scenarios.claude.nested-session.toml": "conforms",
    }
    message = found["scenarios.claude.baseline-only.toml"]["conformance.finding.wrong-verdict"]
    assert message == "expected creds-missing (65), got ready (0)"


def test_without_the_plugin_scenario_files_are_nothing_to_pytest(catalogue: Path) -> None:
    done = run_pytest(catalogue, "scenarios", *TRUE, plugins=())

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --conformance-probe" in done.stderr

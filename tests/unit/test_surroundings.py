"""What scenario files say about umask, current directory, the HOME's name, an earlier run, and PATH."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import directory, file, refusal, scenario, written

from conformance.catalogue import contracts
from conformance.catalogue.lint import fingerprint
from conformance.catalogue.scenarios import read_scenarios
from conformance.drivers.environment import environment
from conformance.drivers.local.command import from_anywhere
from conformance.errors import FileError
from conformance.model.placeholders import Context
from conformance.model.scenario import Process, Scenario
from conformance.model.wording import against_control

BUNDLED = contracts.bundled()
HEAD = """
summary = "Some rule"
origin = "somewhere: something"
agent = "claude"
control = "claude/baseline-only"
expect.slot = "ready"
"""


def read(tmp_path: Path, text: str) -> Scenario:
    path = written(tmp_path / "a" / "b.toml", f"{HEAD}{text}\n")
    [found] = read_scenarios(path, tmp_path, BUNDLED)
    return found


def test_all_of_it_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        process = { umask = "0077", cwd = "{home}/x" }
        home.name = "two  words"
        home.files."x/y" = ""
        earlier.include = ["claude-baseline"]
        earlier.files."z" = "text"
        """.replace("        ", ""),
    )

    assert found.process == Process(umask=0o077, cwd="{home}/x")
    assert found.home_name == "two  words"
    assert found.earlier is not None
    assert "z" in [entry.path for entry in found.earlier]
    assert len(found.earlier) > 1


def test_without_it_everything_is_as_usual(tmp_path: Path) -> None:
    found = read(tmp_path, "")

    assert (found.process, found.home_name, found.earlier) == (Process(), "", None)


def test_a_home_that_was_empty_is_another_thing_than_no_earlier_run(tmp_path: Path) -> None:
    assert read(tmp_path, "[earlier]").earlier == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[process]", "process: asks for nothing; give one of umask, cwd, or leave the table out"),
        ('process.umask = "0888"', "process.umask: '0888' is not a umask; write it like '0077'"),
        ('process.umask = "77"', "process.umask: '77' is not a umask; write it like '0077'"),
        (
            'process.cwd = "x"',
            "process.cwd: 'x' is not an absolute path; begin it with / or {home}",
        ),
        ('process.cwd = ""', "process.cwd: '' is not an absolute path; begin it with / or {home}"),
        ('process.cwd = "/{nonsense}"', "process.cwd: unknown placeholder {nonsense}"),
        (
            'home.name = "a/b"',
            "home.name: 'a/b' is not the name of a directory; give one name, without a slash",
        ),
        ('home.name = ".."', "home.name: '..' is not the name of a directory"),
        ('home.name = ""', "home.name: '' is not the name of a directory"),
        (f'home.name = "{"x" * 201}"', "home.name: is longer than 200 bytes; shorten it"),
        (
            'env.set.PATH = "/usr/bin"',
            "env.set.PATH: without {path} the stubs of the CLIs are not found; "
            "write {path} for the usual PATH, such as {path}:/opt/bin",
        ),
        ('env.set.PATH = "x{path}"', "env.set.PATH: without {path} the stubs"),
        ('env.unset = ["PATH"]', "env.unset: without PATH the stubs of the CLIs are not found"),
        ('env.set.OTHER = "{path}"', "env.set.OTHER: unknown placeholder {path}"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(
    tmp_path: Path, text: str, words: str
) -> None:
    line = refusal(FileError, read, tmp_path, text)

    assert words in line


def test_a_path_keeps_the_usual_one_in_its_place() -> None:
    case = scenario(env={"PATH": "/before:{path}:{home}/bin"})

    found = environment(
        case, BUNDLED["slot"], Context(now=0, seed="", home="/h"), path="/stubs:/usr/bin"
    )

    assert found["PATH"] == "/before:/stubs:/usr/bin:/h/bin"


def test_a_difference_to_the_control_names_each_of_them() -> None:
    ours = scenario(
        process=Process(umask=0, cwd="/"), home_name="a b", earlier=(file("x", "text"),)
    )

    assert against_control(ours, scenario()) == (
        "+ umask 0000",
        "+ current directory /",
        "+ a HOME called 'a b'",
        '+ an earlier run in a HOME with x: text "text"',
    )
    assert against_control(scenario(), ours)[0] == "- umask 0000"


def test_scenarios_that_differ_in_it_alone_are_no_twins() -> None:
    different = [
        scenario(),
        scenario(process=Process(umask=0)),
        scenario(process=Process(cwd="/")),
        scenario(home_name="a b"),
        scenario(earlier=()),
        scenario(earlier=(directory("x"),)),
    ]

    assert len({fingerprint(case) for case in different}) == len(different)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("/bin/probe",), ("/bin/probe",)),
        (("/bin/sh", "probe.sh"), ("/bin/sh", "{here}/probe.sh")),
        (("/bin/sh", "-e", "./probe.sh"), ("/bin/sh", "-e", "{here}/probe.sh")),
        (("/bin/x", "--quiet", "--level=3"), ("/bin/x", "--quiet", "--level=3")),
        (("/bin/x", "/abs"), ("/bin/x", "/abs")),
        (("/bin/python", "-m", "module"), "'module'"),
        (("/bin/sh", "-c", "./probe.sh"), "'./probe.sh x'"),
        (("/bin/x", "--config=probe.sh"), "'--config=probe.sh'"),
    ],
)
def test_a_command_means_the_same_in_every_directory_or_is_refused(
    tmp_path: Path, argv: tuple[str, ...], expected: tuple[str, ...] | str
) -> None:
    written(tmp_path / "probe.sh", "")
    if argv[-1] == "./probe.sh" and argv[1] == "-c":
        argv = (*argv[:-1], "./probe.sh x")

    if isinstance(expected, str):
        with pytest.raises(ValueError, match="may depend on the directory") as caught:
            from_anywhere(argv, tmp_path)
        assert expected in str(caught.value)
    else:
        wanted = tuple(word.replace("{here}", str(tmp_path)) for word in expected)
        assert from_anywhere(argv, tmp_path) == wanted

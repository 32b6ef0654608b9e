"""The settings file: where it is found, what may stand in it, and that what is typed wins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import pytest

from conformance.cli.options import agent_option, image_options, probe_options, strict_option
from conformance.cli.request import repro_argv
from conformance.cli.run import run_command
from conformance.cli.settings import Taken, WithSettings, taken
from conformance.cli.settings_file import NAME, SettingsFile, find, read
from conformance.cli.shard import shard_options
from conformance.errors import ConformanceError, FileError, UsageError

ROOT = Path(__file__).resolve().parents[2]
TABLE = "[tool.probe-conformance]\n"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """Return a repository with a directory ``a/b``; the test starts at its root."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/a/b").mkdir(parents=True)
    with chdir(tmp_path / "repo"):
        yield tmp_path / "repo"


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


class Seen:
    """What a command was given."""

    options: dict[str, Any]
    taken: Taken

    @property
    def argv(self) -> list[str]:
        """The command that repeats a scenario, without what is always there."""
        return repro_argv(self.options, self.taken)[2:]


def run(*words: str, name: str = "run") -> Seen:
    """Return what a command with the options of ``run`` is given."""
    seen = Seen()

    @click.command(name, cls=WithSettings)
    @probe_options
    @image_options
    @agent_option
    @strict_option
    @shard_options
    @click.option("--json", "json_file")
    @click.option("--workers", default="auto")
    @click.pass_context
    def command(ctx: click.Context, /, **options: Any) -> None:
        seen.options = options
        seen.taken = taken(ctx)

    command.main([*words], standalone_mode=False)
    return seen


def refusal(text: str, file: Path) -> str:
    write(file, text)
    with pytest.raises(FileError) as caught:
        find(Path.cwd())
    return str(caught.value)


# Where it is found


def test_the_nearest_file_wins_and_nothing_is_merged(project: Path) -> None:
    write(project / NAME, 'probe = "far"\nagent = "codex"\n')
    write(project / "a" / NAME, 'probe = "near"\n')

    found = find(project / "a/b")
    assert found is not None
    assert (found.file, found.values) == (project / "a" / NAME, {"probe": "near"})
    far = find(project)
    assert far is not None
    assert far.values == {"probe": "far", "agent": "codex"}


def test_the_search_ends_at_the_root_of_the_repository(project: Path) -> None:
    write(project.parent / NAME, 'probe = "anybody"\n')

    assert find(project / "a/b") is None


def test_outside_of_a_repository_only_the_directory_itself_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / NAME, 'agent = "codex"\n')

    assert find(tmp_path / "below") is None
    assert find(tmp_path) is not None


@pytest.mark.parametrize("kind", [".git", ".hg", ".jj", "file"])
def test_what_lies_at_the_root_of_a_repository(tmp_path: Path, kind: str) -> None:
    """In a worktree .git is a file."""
    (tmp_path / "repo/sub").mkdir(parents=True)
    if kind == "file":
        write(tmp_path / "repo/.git", "gitdir: elsewhere\n")
    else:
        (tmp_path / "repo" / kind).mkdir()
    write(tmp_path / "repo" / NAME, "strict = true\n")

    assert find(tmp_path / "repo/sub") is not None


def test_a_table_of_pyproject_will_do_and_the_file_of_ones_own_goes_first(project: Path) -> None:
    write(project / "pyproject.toml", f'{TABLE}probe = "shared"\n')
    shared = find(project)
    write(project / NAME, 'probe = "own"\n')
    own = find(project)

    assert shared is not None
    assert own is not None
    assert (shared.values, own.values) == ({"probe": "shared"}, {"probe": "own"})


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "not toml at all", ""])
def test_a_pyproject_without_our_table_is_passed_over(project: Path, text: str) -> None:
    write(project / "pyproject.toml", text)
    write(project.parent / NAME, "")

    assert find(project) is None


def test_the_checkout_has_none_that_would_change_what_the_tests_do() -> None:
    assert find(ROOT / "tests") is None


# What may stand in it


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('knwon-failures = "x"', "knwon-failures: unknown key; did you mean 'known-failures'?"),
        ('known_failures = "x"', "known_failures: unknown key; did you mean 'known-failures'?"),
        ("zzz = 1", "zzz: unknown key; allowed here: probe, image, images, python, "),
        ('isolation = "none"', "isolation: unknown value 'none'; allowed: fresh, shared, both"),
        ("probe = 1", "probe: expected string, got int"),
        ('scenarios = "checks"', "scenarios: expected a list, got string"),
        ("[env]\nA = 1", "env.A: expected string, got int"),
        ("repeat = 0", "repeat: expected int >= 1"),
        ('json = "a\\u0000b"', "json: "),
        ('probe = " "', "probe: "),
        ('[env]\nA = "x\\u0000y"', "env.A: "),
        ("probe = ", "is not TOML: "),
        (
            'probe = "a"\nimage = "b"',
            "image: names a second probe beside 'probe'; keep one; another can be named on the",
        ),
        (
            'pass-env = ["A"]\n[env]\nA = "1"',
            "pass-env: 'A' is in env as well; keep one of them",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(project: Path, text: str, said: str) -> None:
    own = refusal(text, project / NAME)
    (project / NAME).unlink()
    table = text.replace("[env]", "[tool.probe-conformance.env]")
    shared = refusal(TABLE + table, project / "pyproject.toml")

    assert own.startswith(f"{NAME}: {said}"), own
    place = "" if said.startswith("is not") else "tool.probe-conformance."
    assert shared.startswith(f"pyproject.toml: {place}{said}"), shared


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_what_has_the_name_of_the_file_and_is_none_is_not_passed_over(
    project: Path, kind: str
) -> None:
    """Else the bundled probe would be judged instead of that of the project."""
    (project / NAME).mkdir() if kind == "directory" else (project / NAME).symlink_to("gone.toml")

    with pytest.raises(FileError, match=f"{NAME}: is no regular file"):
        find(project / "a/b")


def test_a_table_that_is_none_is_refused(project: Path) -> None:
    said = refusal("[tool]\nprobe-conformance = 1\n", project / "pyproject.toml")

    assert said == "pyproject.toml: tool.probe-conformance: expected a table"


def test_paths_count_from_the_file(project: Path) -> None:
    text = (
        'contract = "ours.toml"\nscenarios = ["checks"]\nknown-failures = "known.toml"\n'
        'json = "-"\njunit = "report.xml"\nprobe = "./probe.py"\n'
    )
    write(project / NAME, text)
    here = find(project)
    with chdir("a/b"):
        below = find(Path.cwd())

    assert here is not None
    assert below is not None
    assert here.values == {
        "contract": "ours.toml",
        "scenarios": ["checks"],
        "known-failures": "known.toml",
        "json": "-",
        "junit": "report.xml",
        "probe": "./probe.py",
    }
    assert below.values == {
        "contract": str(project / "ours.toml"),
        "scenarios": [str(project / "checks")],
        "known-failures": str(project / "known.toml"),
        "json": "-",
        "junit": str(project / "report.xml"),
        "probe": "./probe.py",
    }


def test_the_name_of_a_bundled_contract_is_no_path(project: Path) -> None:
    write(project / NAME, 'contract = "slot"\n')
    with chdir("a"):
        found = find(Path.cwd())

    assert found is not None
    assert found.values == {"contract": "slot"}


# What is typed wins


def test_settings_are_defaults_and_are_said(project: Path) -> None:
    write(project / NAME, 'probe = "p"\nstrict = true\nworkers = 2\n[env]\nA = "1"\n')

    seen = run()
    assert seen.options["probe"] == "p"
    assert seen.options["strict"] is True
    assert seen.options["workers"] == "2"
    assert seen.options["env"] == ("A=1",)
    assert seen.taken.words == f"{NAME} (env, probe, strict, workers)"
    assert seen.taken.directory == project
    assert seen.argv == []


def test_without_a_file_everything_is_as_ever(project: Path) -> None:
    seen = run("--probe", "p", "--env", "A=1", "--contract", "preflight")

    assert (seen.taken.words, seen.taken.directory) == ("", None)
    assert seen.argv == ["--probe", "p", "--contract", "preflight", "--env", "A=1"]


def test_what_is_typed_wins_setting_by_setting(project: Path) -> None:
    text = (
        'probe = "p"\ncontract = "preflight"\nstrict = true\nrepeat = 3\nallow-write = ["a", "b"]\n'
    )
    write(project / NAME, text)

    seen = run("--contract", "slot", "--no-strict", "--repeat", "1", "--allow-write", "c")
    assert seen.options["probe"] == "p"
    assert seen.options["contract"] == "slot"
    assert seen.options["strict"] is False
    assert seen.options["repeat"] == 1
    assert seen.options["allow_writes"] == ("c",)
    assert seen.taken.keys == ("probe",)
    # The file says otherwise, so the usual values have to be typed again.
    assert seen.argv == ["--contract", "slot", "--repeat", "1", "--allow-write", "c"]


@pytest.mark.parametrize("other", ["--probe", "--image", "--python"])
@pytest.mark.parametrize("key", ["probe", "image", "python"])
def test_a_probe_that_is_typed_takes_the_place_of_any(project: Path, key: str, other: str) -> None:
    write(project / NAME, f'{key} = "of:file"\n')

    seen = run(other, "typed:one")
    named = {name: seen.options[name] for name in ("probe", "image", "python")}
    assert {name for name, value in named.items() if value is not None} == {other[2:]}
    assert named[other[2:]] == "typed:one"
    assert seen.taken.directory is None
    assert seen.argv == [other, "typed:one"]


def test_what_is_about_an_image_waits_for_one(project: Path) -> None:
    text = 'probe = "p"\nisolation = "shared"\ncap-add = ["NET_RAW"]\nread-only = true\nin-process = true\n'
    write(project / NAME, text)

    local, image = run(), run("--image", "i")
    assert [local.options[n] for n in ("isolation", "cap_add", "read_only", "in_process")] == [
        None,
        (),
        None,
        False,
    ]
    assert local.taken.keys == ("probe",)
    assert [image.options[n] for n in ("isolation", "cap_add", "read_only", "in_process")] == [
        "shared",
        ("NET_RAW",),
        True,
        False,
    ]
    assert image.taken.keys == ("cap-add", "isolation", "read-only")
    assert image.argv == ["--image", "i"]
    assert run("--image", "i", "--writable").options["read_only"] is False


def test_durations_wait_for_a_shard(project: Path) -> None:
    """Without one they would be refused, and a run of the whole has nothing to cut."""
    write(project / NAME, 'durations = "last.json"\n')

    with chdir("a"):
        whole, part = run(), run("--shard", "1/2")

    assert (whole.options["durations"], whole.taken.keys) == (None, ())
    assert (part.options["durations"], part.taken.keys) == (
        str(project / "last.json"),
        ("durations",),
    )


def test_each_variable_is_a_setting_of_its_own(project: Path) -> None:
    write(project / NAME, 'pass-env = ["P", "Q"]\n[env]\nA = "1"\nB = "2"\n')

    one = run("--env", "A=9", "--env", "P=8")
    assert set(one.options["env"]) == {"B=2", "A=9", "P=8"}
    assert one.options["pass_env"] == ("Q",)
    assert one.argv == ["--env", "A=9", "--env", "P=8"]
    other = run("--pass-env", "A")
    assert (other.options["env"], other.options["pass_env"]) == (("B=2",), ("A",))
    assert other.argv == ["--pass-env", "A"]


def test_reports_are_those_of_run_alone(project: Path) -> None:
    write(project / NAME, 'json = "report.json"\n')

    assert run().options["json_file"] == "report.json"
    assert run(name="lockstep").options["json_file"] is None


def test_another_file_or_none_can_be_asked_for(project: Path) -> None:
    write(project / NAME, "not toml")
    write(project / "other.toml", 'agent = "codex"\n')

    named, none = run("--config", "other.toml"), run("--no-config")
    assert named.options["agent"] == "codex"
    assert named.taken.words == "other.toml (agent)"
    assert named.argv == ["--config", "other.toml"]
    assert (none.options["agent"], none.taken.words) == ("", "")
    assert none.argv == ["--no-config"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "no.toml"), "no file no.toml; name a settings file after --config"),
        (
            ("--config", "pyproject.toml"),
            "pyproject.toml has no table [tool.probe-conformance]; add it, or name another file",
        ),
        (("--config", NAME, "--no-config"), "--config and --no-config exclude each other"),
        (("--no-config", "--config", NAME), "--config and --no-config exclude each other"),
    ],
)
def test_a_wrong_request_is_one_line(project: Path, words: tuple[str, ...], said: str) -> None:
    write(project / NAME, "")
    write(project / "pyproject.toml", "[project]\n")

    with pytest.raises(UsageError) as caught:
        run(*words)
    assert str(caught.value).startswith(said)


def test_a_file_that_cannot_be_read_is_one_line(project: Path) -> None:
    (project / NAME).write_bytes(b"\xff")

    with pytest.raises(ConformanceError) as caught:
        read(project / NAME)
    assert str(caught.value).startswith(f"{NAME}: is not UTF-8")


def test_help_needs_no_settings(project: Path) -> None:
    write(project / NAME, "not toml")

    assert not hasattr(run("--help"), "options")


# The page


def test_the_page_has_every_key() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    table = page.partition("| key | |")[2].partition("\n\n")[0]
    keys = re.findall(r"`([a-z-]+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))

    assert sorted(keys) == sorted(SettingsFile.__struct_encode_fields__)


def test_every_key_is_an_option_of_run() -> None:
    options = {name for each in run_command.params for name in each.opts}
    assert [k for k in SettingsFile.__struct_encode_fields__ if f"--{k}" not in options] == []


def test_relative_names_are_kept_where_the_file_is_here(project: Path) -> None:
    write(project / NAME, "")
    found = find(project)

    assert found is not None
    assert (found.name, os.path.isabs(found.name)) == (NAME, False)

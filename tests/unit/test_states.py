"""States of an agent's CLI: what their files say, where one's own lie, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import bundled_catalogue, refusal, refusals, text_of

from conformance.catalogue.agents import cli_state, cli_states, state_of
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.catalogue.contracts import bundled
from conformance.catalogue.lint import lint
from conformance.drivers.stubs import Stubs, stubs_for
from conformance.errors import FileError, ManyErrors

SLOT = bundled()["slot"]
CASE = """
summary = "A CLI in a state of one's own"
origin = "here: it was met"
agent = "claude"
control = "cli/exit-1"
expect.slot = "ready"
rules.slot = ["cli-runs", "claude-login"]
home.include = ["claude-baseline", "claude-credentials"]
cli.state = "own"
"""
STATE = """
summary = "Says hello"
[files]
cli = { mode = "0755", text = "#!/bin/sh\\necho hello\\n" }
"""


def write(directory: Path, state: str = STATE, *, name: str = "own", case: str = CASE) -> Path:
    """Write a state and a scenario in it; return the directory of both."""
    (directory / "states").mkdir(parents=True, exist_ok=True)
    (directory / "states" / f"{name}.toml").write_text(state)
    (directory / "acme").mkdir(exist_ok=True)
    (directory / "acme" / "hello.toml").write_text(case)
    return directory


def stubs(directory: Path) -> Stubs:
    """Return the stubs of the scenario in *directory*."""
    case = load_catalogue([directory]).get("acme/hello")
    return stubs_for(case, SLOT, home="/home/me")


def paths(found: Stubs) -> list[str]:
    return [node.path.decode() for node in found.nodes()]


def wrong(directory: Path, state: str) -> str:
    """Return what is wrong with a state of one's own, without the path of its file."""
    [line] = refusals(ManyErrors, load_catalogue, [write(directory, state)])
    return line.removeprefix(f"{directory}/states/own.toml: ")


# Where one's own lie


def test_a_state_of_ones_own_lies_beside_the_scenarios_and_is_no_scenario(tmp_path: Path) -> None:
    catalogue = load_catalogue([write(tmp_path)])
    case = catalogue.get("acme/hello")
    assert [id_ for id_ in catalogue.scenarios if "states" in id_] == []
    assert (case.cli, case.cli_file) == ("own", f"{tmp_path}/states/own.toml")
    assert state_of(case).summary == "Says hello"
    (program,) = (entry for entry in state_of(case).entries if entry.path == "cli")
    assert text_of(program) == "#!/bin/sh\necho hello\n"
    assert paths(stubs(tmp_path)) == ["claude", "codex"]


def test_only_the_top_directory_is_for_states(tmp_path: Path) -> None:
    deeper = tmp_path / "acme" / "states"
    deeper.mkdir(parents=True)
    (deeper / "case.toml").write_text(CASE.replace('"own"', '"healthy"'))
    assert "acme/states/case" in load_catalogue([tmp_path]).scenarios


def test_an_unknown_state_is_refused_with_the_known_ones_ones_own_included(tmp_path: Path) -> None:
    case = CASE.replace('"own"', '"onw"')
    [line] = refusals(ManyErrors, load_catalogue, [write(tmp_path, case=case)])
    assert line.startswith(f"{tmp_path}/acme/hello.toml: cli.state: unknown value 'onw'; allowed: ")
    assert line.endswith(", writes-home, own")


@pytest.mark.parametrize("name", ["../states/own", "own.toml", "/own", "", "./own"])
def test_a_state_is_no_way_out_of_the_states(tmp_path: Path, name: str) -> None:
    case = CASE.replace('"own"', f'"{name}"')
    [line] = refusals(ManyErrors, load_catalogue, [write(tmp_path, case=case)])
    assert f"cli.state: unknown value '{name}'" in line


@pytest.mark.parametrize("state", ["healthy", "exit-1"])
def test_a_bundled_state_is_not_replaced_silently(tmp_path: Path, state: str) -> None:
    """The scenario asks for another one, and still: the next would get what nobody expects."""
    [line] = refusals(ManyErrors, load_catalogue, [write(tmp_path, name=state)])
    way_out = "a state of your own needs a name of its own; rename the file"
    assert (
        line
        == f"{tmp_path}/states/{state}.toml: '{state}' is the name of a bundled state; {way_out}"
    )


# What their files say


def test_the_name_cli_becomes_that_of_the_program_in_paths_links_and_writes(tmp_path: Path) -> None:
    state = """
summary = "x"
path = ["bin/cli", ".", "{home}/opt/cli"]
writes = [".cache/cli/*", "clip", ".cli"]
files = { "bin/cli/cli" = { symlink = "../../share/cli/real" }, "share/cli/real" = "" }
home = { "opt/cli/cli" = { symlink = "../../cli" }, cli = "" }
"""
    found = stubs(write(tmp_path, state))
    assert found.path("/stubs", "/home/me") == "/stubs/bin/claude:/stubs:/home/me/opt/claude"
    assert found.writes == (".cache/claude/*", "clip", ".cli")
    links = {node.path: node.target for node in found.nodes() if node.kind == "symlink"}
    assert links == {b"bin/claude/claude": b"../../share/claude/real"}
    assert {entry.path: entry.target for entry in found.in_home()} == {
        "opt/claude/claude": "../../claude",
        "claude": "",
    }


def test_the_other_agents_cli_lies_in_the_last_directory_outside_the_home(tmp_path: Path) -> None:
    state = 'summary = "x"\npath = ["a", "b", "{home}/bin"]\nlike = { "a/cli" = "healthy" }\n'
    assert paths(stubs(write(tmp_path, state))) == ["a", "a/claude", "b", "b/codex"]


def test_every_directory_of_stubs_can_be_entered_by_all() -> None:
    for state in cli_states():
        nodes = Stubs(agent="claude", state=state, others=("codex",)).nodes()
        assert {node.mode for node in nodes if node.kind == "directory"} <= {0o755}, state


def test_a_stub_that_is_like_another_state_is_that_one_with_all_that_lies_beside_it() -> None:
    nodes = Stubs(agent="claude", state="several-loop-first", others=()).nodes()
    loop = Stubs(agent="claude", state="symlink-loop", others=()).nodes()
    first = [node for node in nodes if node.path.startswith(b"first/")]
    assert [(n.path.removeprefix(b"first/"), n.target) for n in first] == [
        (n.path, n.target) for n in loop
    ]


def test_a_state_of_ones_own_may_be_like_another_of_ones_own(tmp_path: Path) -> None:
    both = 'summary = "x"\npath = ["a", "b"]\nlike = { "a/cli" = "own", "b/cli" = "exit-1" }\n'
    directory = write(tmp_path, both, name="both", case=CASE.replace('"own"', '"both"'))
    write(directory, case=CASE.replace('"own"', '"both"'))
    first, *_ = (node for node in stubs(directory).nodes() if node.path == b"a/claude")
    assert b"".join(first.chunks()) == b"#!/bin/sh\necho hello\n"


def test_the_time_that_a_slow_cli_takes_goes_by_what_it_has() -> None:
    def sleeps(state: str, seconds: float) -> str:
        (node,) = Stubs(agent="claude", state=state, others=(), cli_seconds=seconds).nodes()
        text = b"".join(node.chunks()).decode()
        (line,) = (line for line in text.splitlines() if line.startswith("sleep "))
        return line.removeprefix("sleep ")

    states = ("slow", "slower", "too-slow")
    assert [sleeps(state, 10) for state in states] == ["3", "6", "12"]
    assert [sleeps(state, 2.5) for state in states] == ["0.75", "1.5", "3"]


def test_a_stub_finds_the_file_for_what_it_is_asked_wherever_that_is() -> None:
    (node,) = Stubs(agent="claude", state="healthy", others=()).nodes("/with blanks/it's")
    assert b">>'/with blanks/it'\"'\"'s'\n" in b"".join(node.chunks())


def test_only_stubs_that_hold_the_path_of_the_home_serve_one_home_only() -> None:
    needy = {state for state in cli_states() if cli_state(state).needs_home}
    assert needy == {"link-into-home"}
    case = bundled_catalogue().get("cli/link/into-home")
    assert stubs_for(case, SLOT, home="/h") != stubs_for(case, SLOT, home="/other")
    case = bundled_catalogue().get("cli/in-home/native")
    assert stubs_for(case, SLOT, home="/h") == stubs_for(case, SLOT, home="/other")


# What is wrong with one


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("[files]\n", "summary: missing"),
        ('summary = "x"\nwait = true\n', "wait: unknown key"),
        ('summary = "x"\npath = []\n', "path: "),
        ('summary = "x"\npath = ["../bin"]\n', "path: '../bin' is no directory here; write '.'"),
        ('summary = "x"\npath = ["/bin"]\n', "path: '/bin' is no directory here"),
        ('summary = "x"\npath = ["a:b"]\n', "path: 'a:b' is no directory here"),
        ('summary = "x"\npath = [""]\n', "path: '' is no directory here"),
        ('summary = "x"\npath = ["{home}"]\n', "path: '{home}' is no directory here"),
        ('summary = "x"\npath = ["{home}/.", "."]\n', "path: '{home}/.' is no directory here"),
        ('summary = "x"\npath = ["a", "a"]\n', "path: a directory is listed twice"),
        ('summary = "x"\npath = ["{home}/bin"]\n', "path: no directory outside the HOME"),
        ('summary = "x"\nlike = { cli = "heathly" }\n', "like.cli: unknown value 'heathly'"),
        ('summary = "x"\nlike = { cli = "link" }\n', "like.cli: the state 'link' is more than one"),
        (
            'summary = "x"\nfiles = { cli = "" }\nlike = { cli = "healthy" }\n',
            "like.cli: is written twice",
        ),
        ('summary = "x"\nfiles = { "../x" = "" }\n', "files.../x: leaves the home"),
        (
            'summary = "x"\nfiles = { cli = "{secert}" }\n',
            "files.cli: unknown placeholder {secert}",
        ),
        (
            'summary = "x"\nhome = { a = { symlink = "/x" } }\n',
            "home.a: symlink: the target leaves",
        ),
        ('summary = "x"\nfiles = { cli = "{limit:x}" }\n', "files.cli: unknown placeholder"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(tmp_path: Path, state: str, said: str) -> None:
    assert wrong(tmp_path, state).startswith(said)


def test_a_file_of_the_home_cannot_ask_for_what_only_a_stub_knows(tmp_path: Path) -> None:
    for word in ("{asked}", "{limit:0.3}"):
        case = CASE.replace('"own"', '"healthy"') + f'home.files.a = "{word}"\n'
        [line] = refusals(ManyErrors, load_catalogue, [write(tmp_path, case=case)])
        assert f"home.files.a: unknown placeholder {word}; known: " in line


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".local/bin/claude", "home.files..local/bin/claude: the CLI in the state 'in-home' has a"),
        (
            ".local",
            "home.files..local/bin/claude: lies below '.local', which is not a directory",
        ),
        (".local/bin/claude/x", "home.files..local/bin/claude/x: lies below '.local/bin/claude'"),
    ],
)
def test_a_scenario_and_its_cli_do_not_want_the_same_place(
    tmp_path: Path, path: str, said: str
) -> None:
    case = CASE.replace('"own"', '"in-home"') + f'home.files."{path}" = "x"\n'
    [line] = refusals(ManyErrors, load_catalogue, [write(tmp_path, case=case)])
    assert line.removeprefix(f"{tmp_path}/acme/hello.toml: ").startswith(said)


# Lint


@pytest.mark.slow
def test_lint_wants_a_scenario_about_every_state_and_a_good_summary(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "states" / "spare.toml").write_text(STATE.replace("Says hello", "says hello."))
    found = [str(complaint) for complaint in lint(load_catalogue([tmp_path]))]
    style = "must begin with a capital and end without a full stop"
    assert [line for line in found if line.startswith("state ")] == [
        "state spare: states: no scenario is about it",
        f"state spare: summary: {style}",
    ]
    catalogue = bundled_catalogue()
    others = {id_: case for id_, case in catalogue.scenarios.items() if case.cli != "blank"}
    left = map(str, lint(Catalogue(others, catalogue.contracts)))
    assert "state blank: states: no scenario is about it" in left


@pytest.mark.slow
def test_lint_reads_a_state_that_nobody_asks_for(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "states" / "spare.toml").write_text("summary = 1\n")
    line = refusal(FileError, lint, load_catalogue([tmp_path]))
    assert line.startswith(f"{tmp_path}/states/spare.toml: summary: ")

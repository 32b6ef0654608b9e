"""What is laid out for a container: the HOME over what the image keeps there, stub CLIs, the opposite home, their owners."""

from __future__ import annotations

from typing import Any

import pytest
from factories import directory, entry, file, scenario
from msgspec.structs import replace

from conformance.catalogue.agents import cli_state, cli_states
from conformance.catalogue.contracts import bundled
from conformance.drivers.container.layout import PlacedLayout, place, surroundings
from conformance.drivers.container.request import ASIDE, ImageFacts
from conformance.drivers.layout import lay_out
from conformance.drivers.stubs import Stubs
from conformance.errors import CannotJudge
from conformance.home import Node, read_tar
from conformance.model.agent import named
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import ContainerNeeds, Entry

SLOT, PREFLIGHT = bundled()["slot"], bundled()["preflight"]
CONTEXT = Context(now=1_800_000_000, seed="seed", scenario="a/b", home="/home/agent")
UID, GID = 10_001, 20_001
FACTS = ImageFacts(
    id="sha256:0",
    digest="",
    engine="docker 1",
    entrypoint=("/entrypoint",),
    command=(),
    environment={"PATH": "/usr/bin"},
    directory="/",
    user="agent",
    uid=UID,
    gid=GID,
    home="/home/agent",
)


def node(path: str, kind: Any = "file", content: bytes = b"", **fields: Any) -> Node:
    """Return a node as it was read from an image."""
    pieces = ((content, 1),) if kind == "file" else ()
    mode = 0o755 if kind == "directory" else 0o644
    return Node(
        **{
            "path": path.encode(),
            "kind": kind,
            "mode": mode,
            "owner": 0,
            "mtime": 1,
            "pieces": pieces,
            **fields,
        }
    )


def laid(
    *entries: Entry,
    seed: tuple[Node, ...] = (),
    own: tuple[str, ...] = (),
    contract: Contract = SLOT,
    **fields: Any,
) -> PlacedLayout:
    verdict = fields.pop("verdict", "ready")
    case = scenario(*entries, expect=[verdict], **fields)
    around = surroundings(replace(FACTS, seed=seed, cli_paths=own), {})
    owner = case.container.home_owner if case.container is not None else None
    return place(lay_out(case, contract, CONTEXT, around), UID, GID, owner)


def content(nodes: tuple[Node, ...]) -> dict[str, bytes]:
    return {n.path.decode(): b"".join(n.chunks()) for n in nodes if n.kind == "file"}


def paths(nodes: tuple[Node, ...], below: str = "") -> list[str]:
    """Return the paths of *nodes* below a directory, without it."""
    names = [n.path.decode() for n in nodes]
    return [name.removeprefix(below) for name in names if name.startswith(below) and name != below]


# The HOME


def test_the_home_itself_comes_first_and_belongs_to_the_user() -> None:
    assert laid().home == (Node(path=b"", kind="directory", mode=0o700, owner=UID),)


def test_everything_belongs_to_the_user_unless_an_entry_says_otherwise() -> None:
    made = laid(file(".claude/mine"), file(".claude/roots", owner=0), file("others", owner=10_000))
    assert {n.path.decode(): n.owner for n in made.home} == {
        "": UID,
        ".claude": UID,
        ".claude/mine": UID,
        ".claude/roots": 0,
        "others": 10_000,
    }
    assert (made.uid, made.gid) == (UID, GID)


@pytest.mark.parametrize("owner", [0, 10_000])
def test_a_scenario_may_give_the_whole_home_to_somebody_else(owner: int) -> None:
    seed = (node(".bashrc"),)
    made = laid(
        file("f"),
        file("mine", owner=UID),
        seed=seed,
        container=ContainerNeeds(home_owner=owner),
        cli="missing",
    )
    assert {n.path.decode(): n.owner for n in made.home} == {
        "": owner,
        ".bashrc": owner,
        "f": owner,
        "mine": UID,
    }
    # What the suite lays beside it is no part of the case, and neither is whoever runs the probe.
    assert {n.owner for n in made.aside} == {0}
    assert (made.uid, made.gid) == (UID, GID)


def test_placeholders_know_the_home_in_the_image() -> None:
    made = laid(file("where", "{home}"), entry("link", "symlink", target="{home}/where"))
    assert content(made.home) == {"where": b"/home/agent"}
    assert made.home[1].target == b"/home/agent/where"


def test_a_scenario_that_does_not_come_out_as_a_home_is_told() -> None:
    with pytest.raises(CannotJudge, match="two entries make"):
        laid(file("a"), file("a"))


# What the image keeps in its HOME

SEED = (
    node(".bashrc", content=b"image"),
    node(".claude", "directory"),
    node(".claude/CLAUDE.md", content=b"image"),
    node(".claude/skills", "directory", mode=0o711),
    node(".claude/skills/one", content=b"image", mode=0o600),
    node(".local", "directory"),
    node(".local/link", "symlink", target=b"../.bashrc", mode=0o777),
)


def test_what_the_image_keeps_in_its_home_lies_under_that_of_the_scenario() -> None:
    made = laid(file(".claude/.credentials.json", "new"), seed=SEED)
    assert paths(made.home) == [
        ".bashrc",
        ".claude",
        ".claude/.credentials.json",
        ".claude/CLAUDE.md",
        ".claude/skills",
        ".claude/skills/one",
        ".local",
        ".local/link",
    ]
    by_path = {n.path: n for n in made.home}
    assert (by_path[b".claude/skills"].mode, by_path[b".claude/skills/one"].mode) == (0o711, 0o600)
    assert by_path[b".local/link"].target == b"../.bashrc"
    assert {(n.owner, n.mtime) for n in made.home} == {(UID, None)}


def test_where_both_name_a_path_the_scenario_decides() -> None:
    wanted = (
        file(".bashrc", "scenario", mode=0o400),
        file(".claude/CLAUDE.md", "scenario"),
        directory(".claude/skills", mode=0),
        directory(".local/link"),
    )
    made = {n.path.decode(): n for n in laid(*wanted, seed=SEED).home}
    assert content(tuple(made.values())) == {
        ".bashrc": b"scenario",
        ".claude/CLAUDE.md": b"scenario",
        ".claude/skills/one": b"image",
    }
    assert (made[".bashrc"].mode, made[".claude/skills"].mode, made[".local/link"].kind) == (
        0o400,
        0,
        "directory",
    )


@pytest.mark.parametrize("kind", ["file", "symlink", "fifo", "socket"])
def test_nothing_of_the_image_lies_below_what_is_no_directory_any_more(kind: Any) -> None:
    made = laid(entry(".claude", kind, text="" if kind == "file" else None, target="x"), seed=SEED)
    assert paths(made.home) == [".bashrc", ".claude", ".local", ".local/link"]
    assert next(n.kind for n in made.home if n.path == b".claude") == kind


def test_parents_stand_before_their_children_also_where_names_sort_otherwise() -> None:
    """ "-" and "." sort before "/"."""
    seed = (
        node("a", "directory"),
        node("a/x"),
        node("a-b"),
        node("a.d", "directory"),
        node("a.d/y"),
    )
    made = paths(laid(file("a/b/c"), file("a-b2"), seed=seed).home)
    seen = {""}
    for path in made:
        assert path.rpartition("/")[0] in seen, made
        seen.add(path)
    assert len(made) == len(set(made)) == 8


IN_HOME = (
    node(".local", "directory"),
    node(".local/bin", "directory"),
    node(".local/bin/claude", "symlink", target=b"../share/claude/1/claude"),
    node(".local/bin/codex", mode=0o755),
    node(".local/bin/other", mode=0o755),
    node(".local/share", "directory"),
    node(".local/share/claude", "directory"),
    node(".local/share/claude/1", "directory"),
    node(".local/share/claude/1/claude", mode=0o755),
    node(".local/share/claude/1/readme"),
)


def test_a_healthy_cli_in_the_home_of_the_image_stays() -> None:
    assert laid(seed=IN_HOME).home[1:] == tuple(replace(n, owner=UID, mtime=None) for n in IN_HOME)


@pytest.mark.parametrize("state", [state for state in cli_states() if state != "healthy"])
def test_with_any_other_state_no_cli_in_the_home_answers_instead(state: Any) -> None:
    """A directory that is called like a CLI is none; what the state itself has there stays."""
    own = {f".{entry.path}" for entry in named(cli_state(state).home, "claude")}
    found = paths(laid(seed=IN_HOME, cli=state).home, ".local")
    mine = [path for path in found if f"..local{path}" in own or "versions" in path]
    assert [path for path in found if path not in mine] == [
        "/bin",
        "/bin/other",
        "/share",
        "/share/claude",
        "/share/claude/1",
        "/share/claude/1/readme",
    ]


def test_a_cli_of_a_contract_of_ones_own_in_the_home_is_hidden_like_any_other() -> None:
    contract = replace(SLOT, agents=("gemini",))
    seed = (node("bin", "directory"), node("bin/gemini", mode=0o755), node("bin/other", mode=0o755))

    def left(state: Any) -> list[str]:
        return paths(laid(seed=seed, cli=state, agent="gemini", contract=contract).home, "bin/")

    assert left("missing") == ["other"]
    assert left("healthy") == ["gemini", "other"]


def test_a_file_of_the_scenario_that_is_called_like_a_cli_stays_in_any_state() -> None:
    made = laid(file(".local/bin/claude", "scenario"), seed=IN_HOME, cli="missing")
    assert content(made.home)[".local/bin/claude"] == b"scenario"


# Beside the HOME


def test_what_lies_beside_the_home_belongs_to_root_and_can_be_read_by_all() -> None:
    made = laid(cli="healthy")
    assert made.aside[:2] == (
        Node(path=b"", kind="directory", mode=0o755, owner=0),
        Node(path=b"cli", kind="directory", mode=0o755, owner=0),
    )
    assert {n.owner for n in made.aside} == {0}
    # But the file that stubs append to, whoever the probe runs as.
    assert [n.path for n in made.aside if n.mode & 0o555 != 0o555] == [b"asked"]
    assert {n.path for n in made.aside if n.mode & 0o022} == {b"asked"}


def test_a_healthy_cli_is_the_images_own_and_no_stub_hides_that_it_is_not_there() -> None:
    assert paths(laid().aside, "cli/") == ["codex"]
    assert paths(laid(agent="codex").aside, "cli/") == ["claude"]


def test_bystanders_are_laid_only_where_the_image_has_none_of_its_own() -> None:
    assert paths(laid(own=("/usr/local/bin/claude", "/opt/x/codex")).aside, "cli/") == []
    assert paths(laid(own=("/usr/local/bin/claude",)).aside, "cli/") == ["codex"]
    # A stub image has none: each of its CLIs leads to what lies here.
    own = ("/usr/local/bin/claude", "/usr/local/bin/codex")
    assert paths(laid(own=own, cli="missing").aside, "cli/") == ["codex"]
    assert paths(laid(own=own, cli="exit-1").aside, "cli/") == ["claude", "codex"]


def test_a_name_that_the_environment_asks_for_is_a_bystander_too() -> None:
    assert paths(laid(inputs={"agent": "gemini"}).aside, "cli/") == ["codex", "gemini"]
    assert paths(laid(env={"WOVED_TASK_AGENT": "../x y"}).aside, "cli/") == ["codex"]


@pytest.mark.parametrize("state", [state for state in cli_states() if state != "healthy"])
def test_the_stubs_are_those_of_local_runs(state: Any) -> None:
    home = "/home/agent" if cli_state(state).needs_home else ""
    others = ("codex",) if state != "alone" else ()
    made = Stubs(agent="claude", state=state, others=others, home=home)
    expected = made.nodes(f"{ASIDE}/asked")
    found = [n for n in laid(cli=state).aside if n.path.startswith(b"cli/")]
    assert found == [replace(n, path=b"cli/" + n.path, owner=0) for n in expected]


def test_the_opposite_home_is_laid_where_the_contract_asks_for_one() -> None:
    assert paths(laid().aside, "opposite") == []

    empty = laid(contract=PREFLIGHT, verdict="ready")
    assert [n for n in empty.aside if n.path.startswith(b"opposite")] == [
        Node(path=b"opposite", kind="directory", mode=0o700, owner=UID)
    ]
    full = laid(contract=PREFLIGHT, verdict="creds-missing")
    found = [n for n in full.aside if n.path.startswith(b"opposite")]
    assert [n.path.decode() for n in found] == [
        "opposite",
        "opposite/.claude",
        "opposite/.claude/.credentials.json",
        "opposite/.claude.json",
    ]
    assert {n.owner for n in found} == {UID}


def test_the_opposite_home_belongs_to_the_user_whoever_owns_the_other() -> None:
    made = laid(contract=PREFLIGHT, verdict="creds-missing", container=ContainerNeeds(home_owner=0))
    assert {n.owner for n in made.aside if n.path.startswith(b"opposite")} == {UID}


# As an archive


def test_both_trees_are_one_archive_with_owners_and_groups() -> None:
    made = laid(
        file(".claude/f", "x", mtime="{now-1h}"), file("roots", owner=0), seed=(node(".bashrc"),)
    )
    with made.archive("home", "aside") as archive:
        found = list(read_tar(archive, strip=0))
    assert [n.path for n in found] == [
        *((b"home/" + n.path).rstrip(b"/") for n in made.home),
        *((b"aside/" + n.path).rstrip(b"/") for n in made.aside),
    ]
    assert [n.owner for n in found] == [n.owner for n in (*made.home, *made.aside)]


def test_sockets_are_left_out_of_the_archive_and_told() -> None:
    made = laid(entry("s", "socket", mode=0o600), file("f"))
    assert [n.path for n in made.sockets] == [b"s"]
    assert made.sockets[0].owner == UID
    with made.archive("home", "aside") as archive:
        assert b"home/s" not in [n.path for n in read_tar(archive, strip=0)]


@pytest.mark.parametrize(
    ("named", "below"),
    [
        ("{home}/.claude", ".claude/"),
        ("{home}/a/b/", "a/b/"),
        ("{home}/..x", "..x/"),
        ("{home}", None),
        ("{home}/", None),
        ("{home}/..", None),
        ("/elsewhere", None),
        ("elsewhere", None),
        ("", None),
    ],
)
def test_a_cli_may_write_where_the_probe_is_told_that_the_home_lies(
    named: str, below: str | None
) -> None:
    """What it writes there is not the probe's doing."""
    case = scenario(expect=["ready"], inputs={"home": named}, cli="writes-cache")
    around = surroundings(FACTS, {})

    usual = lay_out(scenario(cli="writes-cache"), SLOT, CONTEXT, around).writes
    writes = lay_out(case, SLOT, CONTEXT, around).writes

    assert ".cache/claude/pkg/linux-x64/file-*" in usual
    assert writes[: len(usual)] == usual
    assert writes[len(usual) :] == (() if below is None else tuple(f"{below}{p}" for p in usual))

"""What a CLI writes, by all the names that variables and links of a home give it."""

from __future__ import annotations

import pytest

from conformance.drivers.writes import places_of
from conformance.home import Node, changes
from conformance.home.snapshot import Stamp

HOME = "/home/agent"
CODEX = [".codex/tmp/**"]
CLAUDE = [".claude.json", ".claude/backups/**"]


def link(path: str, target: str) -> Node:
    return Node(path=path.encode(), kind="symlink", mode=0o777, target=target.encode())


def test_without_variables_and_links_nothing_is_added() -> None:
    nodes = [Node(path=b".codex", kind="directory", mode=0o755)]

    assert places_of(CODEX, HOME, {"HOME": HOME}, nodes) == (".codex/tmp/**",)


@pytest.mark.parametrize(
    ("links", "place"),
    [
        ({".codex": "b"}, "b/tmp/**"),
        ({".codex": f"{HOME}/b"}, "b/tmp/**"),
        ({".codex": "a/b", "a": "../agent/c"}, "c/b/tmp/**"),
        ({".codex": "a", "a": "b", "b": f"{HOME}/x/../c"}, "c/tmp/**"),
        ({".codex/tmp": "../scratch"}, "scratch/**"),
    ],
)
def test_links_are_followed(links: dict[str, str], place: str) -> None:
    nodes = [link(path, target) for path, target in links.items()]

    assert place in places_of(CODEX, HOME, {"HOME": HOME}, nodes)


@pytest.mark.parametrize("target", ["/elsewhere", "../other/b", HOME, ".", "a*"])
def test_links_to_other_places_name_none(target: str) -> None:
    assert places_of(CODEX, HOME, {}, [link(".codex", target)]) == (".codex/tmp/**",)


def test_who_writes_to_a_link_that_leads_nowhere_makes_the_file_there() -> None:
    allowed = places_of(CLAUDE, HOME, {}, [link(".claude.json", "data/claude.json")])
    before = {b"data": Stamp("directory", 0o755)}
    after = {**before, b"data/claude.json": Stamp("file", 0o644, 2, "x")}

    assert changes(before, after, allowed) == ()
    assert changes(before, after, CLAUDE) != ()


def test_links_in_a_circle_come_to_an_end() -> None:
    nodes = [link(".codex", "a"), link("a", ".codex/a")]

    assert len(places_of(CODEX, HOME, {}, nodes)) < 1000


@pytest.mark.parametrize(
    ("variables", "writes", "places"),
    [
        ({"CODEX_HOME": f"{HOME}/x"}, CODEX, {"x/tmp/**"}),
        ({"CODEX_HOME": HOME}, CODEX, {"tmp/**"}),
        ({"CODEX_HOME": "~/.codex"}, CODEX, {"~/.codex/tmp/**"}),
        ({"CODEX_HOME": "/elsewhere"}, CODEX, set()),
        ({"CODEX_HOME": ""}, CODEX, set()),
        ({"CLAUDE_CONFIG_DIR": f"{HOME}/x/"}, CLAUDE, {"x/.claude.json", "x/backups/**"}),
        ({"CODEX_HOME": f"{HOME}/x"}, CLAUDE, set()),
        ({"HOME": f"{HOME}/x"}, CODEX, {"x/.codex/tmp/**"}),
        ({"HOME": "x"}, CODEX, set()),
    ],
)
def test_variables_move_it(variables: dict[str, str], writes: list[str], places: set[str]) -> None:
    assert {*places_of(writes, HOME, variables, [])} == {*writes, *places}


def test_where_a_variable_leads_links_lead_on() -> None:
    found = places_of(CODEX, HOME, {"CODEX_HOME": f"{HOME}/x"}, [link("x", "y")])

    assert "y/tmp/**" in found

"""A HOME in a container's memory is no empty one: engines leave it out of archives, and rules would look there."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from conformance.drivers.container import found_home
from conformance.drivers.container.found_home import in_memory


@pytest.mark.parametrize(
    ("place", "hides"),
    [
        ("/home/agent", True),
        ("/home", True),
        ("/", True),
        ("/home/agent/.claude", True),
        ("/home/agent/.claude/projects", True),
        ("/home/agent/.codex/auth.json", True),
        ("/home/agent/.cache", False),
        ("/home/ag", False),
        ("/tmp", False),
    ],
)
@pytest.mark.parametrize("option", ["--tmpfs", "--mount"])
def test_only_what_rules_look_at_counts(option: str, place: str, *, hides: bool) -> None:
    container = {
        "State": {"Running": True},
        "Mounts": [
            {"Type": "volume", "Destination": "/home/agent/.claude"},
            *([{"Type": "tmpfs", "Destination": place}] if option == "--mount" else []),
        ],
        "HostConfig": {"Tmpfs": {place: "size=1m"} if option == "--tmpfs" else None},
    }

    assert in_memory(container, "/home/agent") == (place if hides else "")
    assert in_memory({**container, "State": {"Running": False}}, "/home/agent") == ""


def test_a_home_at_the_root_is_hidden_where_rules_look() -> None:
    container = {"State": {"Running": True}, "HostConfig": {"Tmpfs": {"/tmp": "", "/.codex": ""}}}

    assert in_memory(container, "/") == "/.codex"
    assert in_memory({"State": {"Running": True}}, "/") == ""


@pytest.mark.parametrize("path", ["home/agent", "/home/agent"])
def test_a_path_in_a_container_counts_from_its_root(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """As it does for the engine: a HOME that lay nowhere would leave every answer open."""
    monkeypatch.setattr(found_home, "_client", lambda *_: nullcontext())
    monkeypatch.setattr(found_home, "_inspect", lambda *_: {"Id": "1"})

    assert found_home.container_home("slot-17", path).path == "/home/agent"

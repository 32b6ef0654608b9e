"""What codex's config.toml says of logins."""

from __future__ import annotations

import tomllib
from typing import Any, Literal

from msgspec import Struct

from conformance.specification.case import Case

__all__ = ["Config", "config_in"]

_METHODS = {"api": "apikey", "chatgpt": "chatgpt"}
#: Where a login is kept that lies in auth.json, as far as anybody can see.
_IN_FILE = ("file", "auto")


class Config(Struct, frozen=True, kw_only=True):
    """What it says; by default, nothing."""

    state: Literal["fine", "broken", "unknown"] = "fine"
    """``unknown``: it was not read, or lies out of the HOME."""
    other_store: bool = False
    """Whether logins are kept elsewhere than in auth.json."""
    mode: str = ""
    """The mode that a login has to have; empty if none is forced."""
    workspaces: tuple[str, ...] = ()
    """The workspaces that a login may be for; none if none is forced."""
    elsewise: bool = False
    """Whether something is forced by a value that is no text, nor a list of them."""
    own_affair: bool = False
    """Whether something is forced by a text of which only codex knows what it means."""


def config_in(case: Case, place: str) -> Config:
    """Return what the config.toml in the directory *place* says."""
    opened = case.reach.open(f"{place}/config.toml")
    if opened.end in ("missing", "not-directory"):
        return Config()
    if opened.end != "there":
        return Config(state="unknown" if opened.end == "unknown" else "broken")
    try:
        table = tomllib.loads(opened.content.decode("utf-8"))
    except (ValueError, RecursionError):
        return Config(state="broken")
    method, workspaces = table.get("forced_login_method"), _workspaces(table)
    return Config(
        other_store=table.get("cli_auth_credentials_store", "file") not in _IN_FILE,
        mode=_METHODS.get(method, "") if isinstance(method, str) else "",
        workspaces=tuple(workspaces or ()),
        elsewise=workspaces is None or not isinstance(method, str | None),
        own_affair=(isinstance(method, str) and method not in _METHODS)
        or any(not name or name != name.strip() for name in workspaces or ())
        or table.get("forced_chatgpt_workspace_id") == [],
    )


def _workspaces(table: dict[str, Any]) -> list[str] | None:
    """Return the workspaces that *table* forces; None if they are not named by texts."""
    forced = table.get("forced_chatgpt_workspace_id", [])
    names = forced if isinstance(forced, list) else [forced]
    return names if all(isinstance(name, str) for name in names) else None

"""Homes: a login, or none, as an agent's CLI leaves it, and what may lie there in its place."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from conformance.catalogue.layers import layer
from conformance.discover.documents import change_member, odd_text
from conformance.discover.draws import Draw
from conformance.discover.sketch import Sketch
from conformance.model.entry import Entry, EntryKind, Json

__all__ = ["AGENTS", "HOME_CHANGES", "LOGINS", "furnish"]

#: Agent to where its login lies.
LOGINS = {"claude": ".claude/.credentials.json", "codex": ".codex/auth.json"}
#: The agents whose homes can be made.
AGENTS = tuple(LOGINS)

#: What a HOME is made from, by agent: layers, each list with a weight.
_BASES: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "claude": (
        (6, ("claude-baseline", "claude-login")),
        (4, ("claude-baseline", "claude-credentials")),
        (4, ("claude-baseline",)),
        (1, ("claude-credentials",)),
        (1, ("claude-baseline", "claude-account")),
        (1, ()),
    ),
    "codex": (
        (5, ("codex-auth",)),
        (4, ("codex-key",)),
        (1, ("claude-baseline", "codex-auth")),
        (1, ("claude-baseline",)),
        (1, ()),
    ),
}
_MODES = (0o000, 0o100, 0o200, 0o400, 0o500, 0o600, 0o644, 0o666, 0o700, 0o755, 0o777)

_Change = Callable[[Sketch, Draw], None]


def furnish(sketch: Sketch, draw: Draw) -> None:
    """Put into the HOME of *sketch* what a whole one has, logged in or not."""
    for name in draw.weighted(_BASES[sketch.agent]):
        sketch.add(layer(name))
    if draw.once_in(16):  # somebody has logged in to the other agent as well
        other = "codex-auth" if sketch.agent == "claude" else "claude-credentials"
        sketch.add(layer(other))


def _login(sketch: Sketch) -> str:
    return LOGINS[sketch.agent]


def _document(sketch: Sketch, path: str, draw: Draw) -> Any:
    """Return the JSON document at *path*, or that of a good login where there is none."""
    found = sketch.holds(path)
    if found is None:
        names = ("claude-credentials",) if sketch.agent == "claude" else ("codex-auth", "codex-key")
        content = layer(draw.one_of(names))[0].content
        assert isinstance(content, Json), "the golden logins are documents"
        found = content.value
    return found


def _change_members(sketch: Sketch, draw: Draw) -> None:
    path = _login(sketch)
    value = _document(sketch, path, draw)
    for _ in range(1 + draw.below(4)):
        value = change_member(value, draw)
    sketch.file(path, Json(value))


def _write_odd_text(sketch: Sketch, draw: Draw) -> None:
    path = _login(sketch)
    sketch.file(path, odd_text(_document(sketch, path, draw), draw))


def _resize(sketch: Sketch, draw: Draw) -> None:
    there = sketch.entries.get(_login(sketch))
    if there is not None and there.kind == "file":
        sizes = (0, 1, 65_537, 1_100_000)
        sketch.add([replace(there, size=draw.one_of(sizes))])


#: Where a login may lie that another program, or another release, has written.
_PLACES: dict[str, tuple[str, ...]] = {
    "claude": (
        *(".claude/credentials.json", ".claude/.credentials/session.json", ".claude/session"),
        *(".claude/.credentials.json.bak", ".claude/.credentials.json~", ".claude/auth/token.json"),
        *(".claude/.credentials.json.tmp", ".claude/.Credentials.json", ".claude.json"),
        *(".config/claude/.credentials.json", ".credentials.json", ".claude/settings.json"),
        *(".claude/settings.local.json", ".claude/backups/.credentials.json", "claude/login.json"),
        *(".claude/.credentials.json.backup", ".claude/projects/app/log.jsonl", ".claude/a/b/c/d"),
    ),
    "codex": (
        *(".codex/auth.json.bak", ".codex/auth.json~", ".codex/.auth.json", ".codex/Auth.json"),
        *(".codex/auth.json.tmp", ".config/codex/auth.json", ".codex/auth/auth.json", "auth.json"),
        *(".codex/credentials.json", ".codex/config.toml", ".codex/auth.json.backup"),
    ),
}


def _move_login(sketch: Sketch, draw: Draw) -> None:
    """Move the login elsewhere, or leave a copy there."""
    path = _login(sketch)
    to = draw.one_of(_PLACES[sketch.agent])
    there = sketch.entries.get(path)
    if there is None:
        sketch.file(to, Json(_document(sketch, path, draw)))
    elif draw.below(3):
        sketch.move(path, to)
    else:
        sketch.add([replace(there, path=to)])


def _replace_login(sketch: Sketch, draw: Draw) -> None:
    """Put a link, a directory or something else where the login lies."""
    path = _login(sketch)
    _put_other(sketch, draw, path)


def _replace_directory(sketch: Sketch, draw: Draw) -> None:
    """Put something else where the directory of the login lies."""
    _put_other(sketch, draw, posixpath.dirname(_login(sketch)))


def _put_other(sketch: Sketch, draw: Draw, path: str) -> None:
    what = draw.weighted(_OTHERS)
    name = posixpath.basename(path)
    if what == "link":  # to what lay there
        sketch.move(path, f"kept/{name.lstrip('.')}")
        sketch.other(path, "symlink", target=f"{{home}}/kept/{name.lstrip('.')}")
    elif what == "dangling":
        sketch.other(path, "symlink", target=draw.one_of(("gone", "{home}/gone/away", "..")))
    elif what == "loop":
        sketch.other(path, "symlink", target=name)
    elif what == "gone":
        sketch.entries.pop(path, None)
        sketch.remove_below(path)
    elif what == "directory":
        sketch.remove_below(path)
        sketch.other(path, "directory")
    elif what == "fifo":
        sketch.other(path, "fifo")
    elif what == "socket":
        sketch.other(path, "socket")
    else:
        sketch.remove_below(path)
        sketch.file(path, draw.one_of(("", "text\n", "{}")))


_OTHERS = (
    (4, "link"),
    (3, "dangling"),
    (2, "loop"),
    (3, "gone"),
    (3, "directory"),
    (2, "fifo"),
    (1, "socket"),
    (2, "file"),
)


def _close(sketch: Sketch, draw: Draw) -> None:
    """Change the mode of the login, of a directory above it, or of any file."""
    path = _login(sketch)
    places = [path, posixpath.dirname(path), posixpath.dirname(path), *sketch.entries]
    place = draw.one_of(places)
    if place in sketch.entries or "." in place:
        sketch.set_mode(place, draw.one_of(_MODES))


_NAMES = (
    *("session.json", "token", ".hidden", "..hidden", "-rf", "a name with blanks.json", "a\nb"),
    *("{byte:ff}.json", "CLAUDE.md", "claude.md", "CLAUDE.md.bak", "CLAUDE.mdx", "config.toml"),
    *("Config.toml", "settings.json", "settings.local.json", "settings.json~", "config", "é.json"),
    *("backups", "history.jsonl", "login.tmp", "x.bak", "todos", "auth.json", "{n}"),
)
_DIRECTORIES = (
    *("", "", "", "projects/", ".hidden/", "backups/", "a/b/", "a/b/c/d/e/", "a b/", "..x/"),
    *(".credentials/", "{byte:fe}/", "plugins/one/", "-d/"),
)


def _add_something(sketch: Sketch, draw: Draw) -> None:
    """Put one more file, directory, link, FIFO or socket beside or below the login's directory."""
    top = posixpath.dirname(_login(sketch))
    path = f"{top}/{draw.one_of(_DIRECTORIES)}{draw.one_of(_NAMES)}"
    if path == _login(sketch):
        return
    kind = draw.weighted(_ADDED)
    if kind == "file":
        text = draw.one_of(("", "text\n", "{}", "{secret:other}"))
        sketch.file(path, text, size=draw.one_of((None, None, None, 0, 2_000_000)))
    elif kind == "link":
        targets = ("gone", "{home}/.claude/CLAUDE.md", "{home}", ".", "{home}/elsewhere/file")
        target = draw.one_of(targets)
        if target.endswith("/file"):
            sketch.file("elsewhere/file", "{secret:other}")
        sketch.other(path, "symlink", target=target)
    elif kind == "closed":
        sketch.other(path, "directory")
        sketch.set_mode(path, draw.one_of(_MODES))
    elif kind == "deep":
        depth = draw.one_of((2, 4, 30, 120, 900))
        sketch.add([Entry(path=path, kind="file", size=0, depth=depth)])
    elif kind == "many":
        name = draw.one_of((f"{top}/many/{{n}}", f"{top}/many/{{n}}/file", f"{top}/many-{{n}}"))
        kinds: tuple[EntryKind, ...] = ("file", "directory")
        count = draw.one_of((3, 40, 1200))
        sketch.add([Entry(path=name, kind=draw.one_of(kinds), count=count)])
    else:
        others: tuple[EntryKind, ...] = ("directory", "fifo", "socket")
        sketch.other(path, draw.one_of(others))


_ADDED = (
    (8, "file"),
    (4, "link"),
    (3, "closed"),
    (4, "other"),
    (1, "deep"),
    (1, "many"),
)


def _remove_something(sketch: Sketch, draw: Draw) -> None:
    if sketch.entries:
        path = draw.one_of(list(sketch.entries))
        del sketch.entries[path]
        if draw.below(2):
            sketch.add([Entry(path=posixpath.dirname(path) or path, kind="directory")])


def _configure(sketch: Sketch, draw: Draw) -> None:
    """Write a configuration file that speaks of logins, or is broken."""
    path, content = draw.one_of(_CONFIGURATIONS[sketch.agent])
    sketch.file(path, content)


_CONFIGURATIONS: dict[str, tuple[tuple[str, str | Json], ...]] = {
    "claude": (
        (".claude/settings.json", Json({"env": {"CLAUDE_CODE_OAUTH_TOKEN": "{secret:other}"}})),
        (".claude/settings.json", Json({"env": {"ANTHROPIC_API_KEY": "{secret:anthropic-key}"}})),
        (".claude/settings.json", Json({"env": {"ANTHROPIC_AUTH_TOKEN": "{secret:other}"}})),
        (".claude/settings.json", Json({"env": {"ANTHROPIC_API_KEY": ""}})),
        (".claude/settings.json", Json({"env": {"CLAUDE_CODE_SIMPLE": "1"}})),
        (".claude/settings.json", Json({"apiKeyHelper": "/bin/echo"})),
        (".claude/settings.json", "{"),
        (".claude.json", Json({"primaryApiKey": "{secret:anthropic-key}"})),
        (".claude.json", Json({"oauthAccount": "{null}"})),
        (".claude.json", "{"),
    ),
    "codex": (
        (".codex/config.toml", 'forced_login_method = "api"\n'),
        (".codex/config.toml", 'forced_login_method = "chatgpt"\n'),
        (".codex/config.toml", 'forced_chatgpt_workspace_id = "another"\n'),
        (".codex/config.toml", "forced_login_method = 1\n"),
        (".codex/config.toml", 'cli_auth_credentials_store = "keyring"\n'),
        (".codex/config.toml", 'cli_auth_credentials_store = "file"\n'),
        (".codex/config.toml", 'model = "x"\n# forced_login_method = "api"\n'),
        (".codex/config.toml", "["),
    ),
}

#: What may be changed in a HOME, each with a weight.
HOME_CHANGES: tuple[tuple[int, _Change], ...] = (
    (10, _change_members),
    (6, _write_odd_text),
    (5, _add_something),
    (5, _move_login),
    (4, _close),
    (3, _replace_login),
    (3, _replace_directory),
    (2, _configure),
    (2, _remove_something),
    (1, _resize),
)

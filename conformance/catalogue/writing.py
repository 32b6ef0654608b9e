"""Write a scenario as a file: what the catalogue reads, the other way round."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from conformance.catalogue.layers import bundled_layers
from conformance.errors import UsageError
from conformance.model.agent import HEALTHY
from conformance.model.scenario import Bytes, Entry, Json, Runs, Scenario, Text

__all__ = ["as_read", "scenario_table", "scenario_text"]

#: A key that needs no quotes.
_BARE = re.compile(r"[A-Za-z0-9_-]+")
#: Columns of a line; an entry that needs more becomes a table of its own, as far as it can.
_COLUMNS = 120
#: Bytes up to this many are written as hexadecimal digits, which people can read; more as base64.
_HEXADECIMAL = 64
#: Tables that have a header also where a line would do, as in files that people write.
_HEADED = ("files", "set")
#: Tables in this order, after the keys that are no tables.
_TABLES = ("expect", "rules", "home", "earlier", "cli", "inputs", "env", "process", "container")


def scenario_text(scenario: Scenario, *, comment: str = "") -> str:
    """Return *scenario* as a TOML file, which reads as the same scenario.

    *comment* stands at its top, a line for each of its lines.

    :raises UsageError: it is about a gate, an entrypoint or a login: see :func:`scenario_table`.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    table = scenario_table(scenario)
    lines += [f"{key} = {_inline(value)}" for key, value in table.items() if key not in _TABLES]
    for key in _TABLES:
        if key in table:
            lines += _lines(table[key], key)
    return "\n".join(lines) + "\n"


def as_read(entry: Entry) -> Entry:
    """Return *entry* as it reads when it is written: a file has a content or a size, if only 0."""
    is_empty = entry.kind == "file" and entry.content is None and entry.size is None
    return replace(entry, size=0) if is_empty else entry


def scenario_table(scenario: Scenario) -> dict[str, Any]:
    """Return what a file says that reads as *scenario*, in plain types.

    Bundled layers of which all is there are included; other entries are written out.

    :raises UsageError: it has steps, a start or a login, which no home alone can stand for.
    """
    if scenario.steps or scenario.start is not None or scenario.login is not None:
        cause = f"'{scenario.id}' is about more than a home"
        raise UsageError(cause, hint="give a scenario without steps, start and login")
    control = scenario.control
    table: dict[str, Any] = {
        "summary": scenario.summary,
        "origin": scenario.origin,
        "agent": scenario.agent,
        "control": control[""] if list(control) == [""] else dict(control),
    }
    if scenario.differs:
        table["differs"] = scenario.differs
    table["expect"] = {name: _listed(verdicts) for name, verdicts in scenario.expect.items()}
    if scenario.rules:
        table["rules"] = {name: _listed(rules) for name, rules in scenario.rules.items()}
    home = _home(scenario.entries)
    if scenario.home_name:
        home = {"name": scenario.home_name, **home}
    if home:
        table["home"] = home
    if scenario.earlier is not None:
        table["earlier"] = _home(scenario.earlier)
    if scenario.cli != HEALTHY:
        table["cli"] = {"state": scenario.cli}
    return table | _around(scenario)


def _around(scenario: Scenario) -> dict[str, Any]:
    """Return the tables about what is around the HOME, those that say something."""
    inputs: dict[str, Any] = {str(role): text for role, text in scenario.inputs.items()}
    if scenario.inputs_unset:
        inputs["unset"] = list(scenario.inputs_unset)
    env: dict[str, Any] = {}
    if scenario.env:
        env["set"] = dict(scenario.env)
    if scenario.unset:
        env["unset"] = list(scenario.unset)
    process: dict[str, Any] = {}
    if scenario.process.umask is not None:
        process["umask"] = f"{scenario.process.umask:04o}"
    if scenario.process.cwd:
        process["cwd"] = scenario.process.cwd
    container: dict[str, Any] = {}
    if (needs := scenario.container) is not None:
        if needs.user:
            container["user"] = needs.user
        if needs.home_owner is not None:
            container["home_owner"] = needs.home_owner
        if needs.home_read_only:
            container["home_read_only"] = True
    found = {"inputs": inputs, "env": env, "process": process, "container": container}
    return {name: table for name, table in found.items() if table}


def _listed(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _home(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the table of a HOME with these *entries*."""
    left = {entry.path: entry for entry in entries}
    include = []
    for name, layer in _largest_first(bundled_layers()):
        if layer and all(left.get(entry.path) == entry for entry in layer):
            include.append(name)
            for entry in layer:
                del left[entry.path]
    table: dict[str, Any] = {"include": include} if include else {}
    if left:
        table["files"] = {path: _entry(entry) for path, entry in left.items()}
    return table


def _largest_first(layers: Mapping[str, tuple[Entry, ...]]) -> list[tuple[str, tuple[Entry, ...]]]:
    return sorted(layers.items(), key=lambda item: (-len(item[1]), item[0]))


def _entry(entry: Entry) -> str | dict[str, Any]:
    """Return what stands beside the path of *entry*."""
    table = _content(entry) | _attributes(entry)
    return str(table["text"]) if list(table) == ["text"] else table


def _content(entry: Entry) -> dict[str, Any]:
    """Return the key that says what *entry* is."""
    match entry.content:
        case Text(text):
            return {"text": text}
        case Json(value):
            return {"json": value}
        case Bytes(data) if len(data) <= _HEXADECIMAL:
            return {"hex": data.hex()}
        case Bytes(data):
            return {"base64": base64.b64encode(data).decode()}
        case Runs(runs):
            return {"runs": [[text, times] for text, times in runs]}
    if entry.kind == "symlink":
        return {"symlink": entry.target}
    if entry.kind != "file":
        return {"type": entry.kind}
    return {"size": entry.size or 0}  # an empty file: a size of 0 says as much as none


def _attributes(entry: Entry) -> dict[str, Any]:
    """Return what else is said of *entry*, where it is not the usual thing."""
    table: dict[str, Any] = {}
    if entry.size is not None:
        table["size"] = entry.size
    if entry.mode is not None:
        table["mode"] = f"{entry.mode:04o}"
    if entry.owner is not None:
        table["owner"] = entry.owner
    if entry.mtime:
        table["mtime"] = entry.mtime
    if entry.count != 1:
        table["count"] = entry.count
    if entry.depth:
        table["depth"] = entry.depth
    return table


def _lines(values: Mapping[str, Any], path: str = "", *, ordered: bool = False) -> Iterator[str]:
    """Yield the lines of a table at *path*; what is too long for a line gets a header of its own.

    These come last, for else the rest would belong to them. Where the order counts, as it does for
    members of JSON (*ordered*), only what is last anyway gets one.
    """
    long = [key for key, value in values.items() if _is_long(key, value)]
    if ordered and long:
        keys = list(values)
        first = keys.index(long[0])
        while not all(isinstance(values[key], dict) for key in keys[first:]):
            first += 1
        long = keys[first:]
    if path and (len(long) < len(values) or not values):
        yield f"\n[{path}]"
    for key, value in values.items():
        if key not in long:
            yield f"{_key(key)} = {_inline(value)}"
    for key in long:
        below = f"{path}.{_key(key)}" if path else _key(key)
        yield from _lines(values[key], below, ordered=ordered or key == "json")


def _is_long(key: str, value: Any) -> bool:
    """Return whether *value* is better read as a table of its own."""
    if not isinstance(value, dict):
        return False
    return key in _HEADED or len(f"{_key(key)} = {_inline(value)}") > _COLUMNS


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _basic(key)


def _inline(value: Any) -> str:
    """Return *value* as it is written on one line, but for a literal text of several."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {_inline(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, str):
        if not _is_literal(value):
            return _basic(value)
        return f"'''{value}'''" if "\n" in value else f"'{value}'"
    return json.dumps(value)


def _basic(text: str) -> str:
    """Return *text* as a basic string, whose escapes are those of JSON, and one for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_literal(text: str) -> bool:
    """Return whether *text*, such as JSON, is easier to read without escapes, and can be."""
    printable = text.replace("\n", "").isprintable() and not text.startswith("\n")
    return ('"' in text or "\\" in text) and "'" not in text and printable

"""A scenario while it is being made: its HOME, and what is around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from conformance.home import plan
from conformance.model.agent import HEALTHY
from conformance.model.contract import Contract, Role
from conformance.model.entry import Content, Entry, EntryKind, Json, Text
from conformance.model.placeholders import Context
from conformance.model.scenario import Process, Scenario

__all__ = ["Sketch"]

#: Only to see whether entries make a home; none is ever built with it.
_ANYWHERE = Context(now=0, seed="", home="/home")


class Sketch(Struct, kw_only=True):
    """What is known so far of a scenario."""

    agent: str
    entries: dict[str, Entry] = field(default_factory=dict)
    cli: str = HEALTHY
    waits: bool = False
    inputs: dict[Role, str] = field(default_factory=dict)
    inputs_unset: tuple[Role, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    process: Process = Process()
    home_name: str = ""

    def add(self, entries: Iterable[Entry]) -> None:
        """Put *entries* into the HOME; what lies at their paths goes."""
        for entry in entries:
            self.entries[entry.path] = entry

    def file(self, path: str, content: Content | str = "", *, size: int | None = None) -> None:
        """Put a file at *path*, whatever lies there."""
        holds: Content | None = Text(content) if isinstance(content, str) else content
        if holds == Text("") and size is not None:
            holds = None
        self.add([Entry(path=path, kind="file", content=holds, size=size)])

    def other(self, path: str, kind: EntryKind, *, target: str = "") -> None:
        """Put something else than a file at *path*, and take away what lies below it."""
        if kind != "directory":
            self.remove_below(path)
        self.add([Entry(path=path, kind=kind, target=target)])

    def remove_below(self, path: str) -> None:
        """Take away what lies below *path*."""
        for inner in [name for name in self.entries if name.startswith(f"{path}/")]:
            del self.entries[inner]

    def move(self, path: str, to: str) -> None:
        """Move what lies at *path*, and below it, *to* another path."""
        for name in list(self.entries):
            if name == path or name.startswith(f"{path}/"):
                entry = self.entries.pop(name)
                moved = f"{to}{name.removeprefix(path)}"
                self.entries[moved] = replace(entry, path=moved)

    def set_mode(self, path: str, mode: int) -> None:
        """Give *mode* to the file or the directory at *path*; where nothing is, a directory."""
        there = self.entries.get(path, Entry(path=path, kind="directory"))
        if there.kind != "symlink":
            self.entries[path] = replace(there, mode=mode)

    def finished(self, id_: str, contract: Contract) -> Scenario:
        """Return the scenario, called *id_*, that calls for nothing yet under *contract*.

        What lies below anything but a directory is left out, and of two entries that make one path
        the later.
        """
        entries: dict[str, Entry] = {}
        seen: set[bytes] = set()
        for entry in self.entries.values():
            made = {node.path for node in plan([entry], _ANYWHERE) if node.kind != "directory"}
            if self._has_room(entry.path) and not made & seen:
                entries[entry.path] = entry
                seen |= made
        roles = {*self.inputs, *self.inputs_unset}
        known = {role for role in roles if contract.inputs.variable(role)}
        return Scenario(
            id=id_,
            file=f"/{id_}.toml",
            summary="",
            origin="",
            agent=self.agent,
            control={"": ""},
            expect={contract.name: ()},
            entries=tuple(entries.values()),
            cli=self.cli,
            waits=self.waits or any(e.kind == "fifo" for e in entries.values()),
            inputs={role: text for role, text in self.inputs.items() if role in known},
            inputs_unset=tuple(role for role in self.inputs_unset if role in known),
            env={
                name: value
                for name, value in self.env.items()
                if name not in contract.inputs.variables()
            },
            process=self.process,
            home_name=self.home_name,
        )

    def _has_room(self, path: str) -> bool:
        """Return whether all that is named above *path* are directories."""
        parts = path.split("/")[:-1]
        above = ("/".join(names) for names in itertools.accumulate([part] for part in parts))
        return all(self.entries[name].kind == "directory" for name in above if name in self.entries)

    def holds(self, path: str) -> object:
        """Return the JSON value in the file at *path*; None where there is none."""
        entry = self.entries.get(path)
        if entry is None or not isinstance(entry.content, Json):
            return None
        return entry.content.value

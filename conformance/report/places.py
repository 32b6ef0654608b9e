"""Files that a report can point to: those that somebody who reviews a change can open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from conformance.bundled import data_root
from conformance.judge.tally import RunReport
from conformance.model.scenario import Scenario

__all__ = ["Place", "Places"]


class Place(Struct, frozen=True):
    """A line of a file."""

    file: str
    """Its path below the root of the repository."""
    line: int = 1


class Places(Struct, frozen=True):
    """Finds the files of one repository."""

    root: Path
    """The root of the repository."""
    directory: Path
    """The directory that relative paths count from."""
    probe_in: Path | None = None
    """The directory that those of the probe's command count from, if it is another one."""

    def of_probe(self, report: RunReport) -> Place | None:
        """Return the file of a local probe: the first word of its command that is one here."""
        words: Any = report.probe.get("command")
        for word in words if isinstance(words, list) else ():
            if place := self._place(os.path.join(self.probe_in or "", str(word))):
                return place
        return None

    def of_scenario(self, scenario: Scenario) -> Place | None:
        """Return the file of a scenario, if it is not one of the bundled ones."""
        return None if data_root() in Path(scenario.file).parents else self._place(scenario.file)

    def of_known_failure(self, report: RunReport, id_: str) -> Place | None:
        """Return the line that calls the scenario *id_* a known failure."""
        place = self._place(report.known.file) if report.known.file else None
        if place is None:
            return None
        try:
            lines = Path(self.directory, report.known.file).read_text("utf-8").splitlines()
        except (OSError, UnicodeError):  # it was there when the run began
            return place
        for number, line in enumerate(lines, 1):
            if f'"{id_}"' in line or f"'{id_}'" in line:
                return Place(place.file, number)
        return place

    def _place(self, name: str) -> Place | None:
        try:
            path = os.path.realpath(self.directory / name)
        except ValueError:  # a word of a command that can be no path
            return None
        root = os.path.realpath(self.root)
        if not os.path.isfile(path) or os.path.commonpath([root, path]) != root:
            return None
        return Place(os.path.relpath(path, root))

"""The command that repeats one scenario of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.model.scenario import Scenario

__all__ = ["Repeating"]


class Repeating:
    """Knows how to repeat each scenario of a run."""

    def __init__(
        self,
        argv: Sequence[str],
        scenarios: Mapping[str, Scenario],
        files: Mapping[str, str] | None = None,
    ) -> None:
        """*argv* is the command without an id, which comes third.

        *files* are those outside the catalogue: as they were typed, by their real paths.
        """
        self._argv = list(argv)
        self._scenarios = scenarios
        self._files = dict(files or {})

    def argv(self, id_: str) -> list[str]:
        """Return the command that repeats the scenario *id_*."""
        return [*self._argv[:2], id_, *self._needed(id_), *self._argv[2:]]

    def _needed(self, id_: str) -> list[str]:
        """Return the files outside the catalogue that hold *id_* and all its controls."""
        known = self._scenarios
        found: dict[str, str] = {}
        todo = [known[id_].file] if id_ in known else []
        while todo:
            file = todo.pop()
            if file in self._files and file not in found:
                found[file] = self._files[file]
                controls = sorted(self._controls_in(file) & known.keys())
                todo += [known[control].file for control in controls]
        return list(found.values())

    def _controls_in(self, file: str) -> set[str]:
        """Return the ids of the controls of all scenarios in *file*."""
        controls: set[str] = set()
        for scenario in self._scenarios.values():
            if scenario.file == file:
                controls.update(scenario.control.values())
        return controls

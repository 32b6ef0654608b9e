"""The catalogue: every scenario below some directories, read strictly, and the contracts.

Files are checked here, before anything is built or run.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from conformance.bundled import scenarios_dir
from conformance.catalogue import contracts as contract_files
from conformance.catalogue.agents import STATES
from conformance.catalogue.scenarios import read_scenarios
from conformance.errors import ConformanceError, FileError, ManyErrors, UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.text import quote

__all__ = [
    "NO_SCENARIOS",
    "Catalogue",
    "check_controls",
    "load_catalogue",
    "read_catalogue",
    "root_of",
    "same_case",
    "select",
]


#: Directories beside scenarios that hold parts of them.
NO_SCENARIOS = ("layers", STATES)

_WILDCARDS = {"*": ".*", "?": "."}


class Catalogue:
    """Scenarios by id, sorted, and the contracts that they may name."""

    def __init__(
        self,
        scenarios: Mapping[str, Scenario],
        contracts: Mapping[str, Contract],
        files: Mapping[str, Sequence[str]] | None = None,
        roots: Iterable[Path] = (),
    ) -> None:
        """Take the ids in *files* by real path, where these are more than those of *scenarios*.

        *roots* are the directories of the user's own scenarios.
        """
        self.scenarios = dict(sorted(scenarios.items()))
        self.contracts = contracts
        self.roots = tuple(roots)
        self._files = files or {}

    def get(self, id_: str) -> Scenario:
        """Return the scenario called *id_*.

        :raises UsageError: there is none.
        """
        try:
            return self.scenarios[id_]
        except KeyError:
            group = _group(id_, self.scenarios)
            hint = f"see probe-conformance list {group}" if group else _closest(id_, self.scenarios)
            raise UsageError(f"no scenario '{id_}'", hint=hint) from None

    def in_file(self, name: str) -> list[str]:
        """Return the ids of the scenarios in the file called *name*, which may be a copy."""
        path = os.path.realpath(name)
        there = [id_ for id_, scenario in self.scenarios.items() if scenario.file == path]
        return there or sorted(self._files.get(path, ()))

    def one(self, name: str) -> Scenario:
        """Return the scenario called *name*, or the one in the file of that name.

        :raises UsageError: there is none, or the file has several.
        """
        ids = self.in_file(name) if name.endswith(".toml") else []
        if len(ids) > 1:
            hint = f"give the id of one, such as {ids[0]}"
            raise UsageError(f"'{name}' names {len(ids)} scenarios", hint=hint)
        return self.get(ids[0] if ids else name)

    def with_scenarios(self, scenarios: Mapping[str, Scenario]) -> Catalogue:
        """Return this catalogue with these *scenarios*, which are from the same files."""
        return Catalogue(scenarios, self.contracts, self._files, self.roots)

    def in_contract(self, contract: Contract) -> list[Scenario]:
        """Return the scenarios that are part of *contract*."""
        return [scenario for scenario in self.scenarios.values() if scenario.expected(contract)]


def load_catalogue(
    directories: Iterable[Path] = (),
    *,
    contract: Contract | None = None,
    files: Iterable[Path] = (),
) -> Catalogue:
    """Return the catalogue as its files say it, with all controls checked.

    See :func:`read_catalogue`. What a contract of the user's own makes of it is not in it: see
    :mod:`conformance.loading`.

    :raises ManyErrors: names every file that is wrong, one line each.
    """
    catalogue = read_catalogue(directories, contract=contract, files=files)
    check_controls(catalogue)
    return catalogue


def read_catalogue(
    directories: Iterable[Path] = (),
    *,
    contract: Contract | None = None,
    files: Iterable[Path] = (),
) -> Catalogue:
    """Return the bundled catalogue with the scenarios below *directories* and in *files*.

    Scenarios may also name *contract*, which is not bundled. Nobody has looked at their controls.

    :raises ManyErrors: names every file that is wrong, one line each.
    """
    known = contract_files.bundled()
    if contract is not None:
        known[contract.name] = contract
    errors: list[ConformanceError] = []
    scenarios: dict[str, Scenario] = {}
    by_file: dict[str, list[str]] = {}
    paths = _scenario_files(directories, files, errors)
    own = sorted({*paths.values()} - {scenarios_dir()})
    for path, root in paths.items():
        try:
            for scenario in _scenarios(path, root, known):
                _admit(scenario, scenarios)
                by_file.setdefault(str(path), []).append(scenario.id)
        except ConformanceError as e:
            errors.append(e)
    if errors:
        raise ManyErrors(errors)
    return Catalogue(scenarios, known, by_file, own)


def check_controls(catalogue: Catalogue) -> None:
    """Make sure that every scenario of *catalogue* has a control that calls for another answer.

    :raises ManyErrors: names every scenario that has none, one line each.
    """
    scenarios = catalogue.scenarios.values()
    errors = [wrong for scenario in scenarios for wrong in _wrong_controls(scenario, catalogue)]
    if errors:
        raise ManyErrors(errors)


#: The bundled scenarios by file, once they have been read; they depend on nothing but their files.
_BUNDLED: dict[Path, list[Scenario]] = {}


def _scenarios(path: Path, root: Path, known: Mapping[str, Contract]) -> list[Scenario]:
    if root != scenarios_dir():
        return read_scenarios(path, root, known)
    if path not in _BUNDLED:
        _BUNDLED[path] = read_scenarios(path, root, known)
    return _BUNDLED[path]


def _scenario_files(
    directories: Iterable[Path], files: Iterable[Path], errors: list[ConformanceError]
) -> dict[Path, Path]:
    """Return every scenario file, once, with the directory that its id counts from."""
    found = {path: scenarios_dir() for path in _below(scenarios_dir())}
    for directory in directories:
        # Unlike Path.is_dir, this does not raise for a name that is too long or out of reach.
        if not os.path.isdir(directory):
            hint = "--scenarios takes a directory of scenario files"
            errors.append(UsageError(f"{directory}: no such directory", hint=hint))
            continue
        root = directory.resolve()
        for path in _below(root):
            found.setdefault(path, root)
    for file in files:
        path = file.resolve()
        found.setdefault(path, root_of(path))
    return found


def _below(root: Path) -> list[Path]:
    """Return the scenario files below *root*, without ``layers`` and ``states`` at its top."""
    files = root.rglob("*.toml")
    return sorted(path for path in files if path.relative_to(root).parts[0] not in NO_SCENARIOS)


def root_of(path: Path) -> Path:
    """Return the directory that the id of the scenario in *path* counts from.

    That is the nearest one called ``scenarios``, else the directory of the file.
    """
    for parent in path.parents:
        if parent.name == "scenarios":
            return parent
    return path.parent


def _admit(scenario: Scenario, scenarios: dict[str, Scenario]) -> None:
    other = scenarios.setdefault(scenario.id, scenario)
    if same_case(scenario, other):
        return
    wrong = f"its id '{scenario.id}' is taken by {other.file}"
    raise FileError(scenario.file, wrong, hint="ids are unique; rename one")


def same_case(scenario: Scenario, other: Scenario) -> bool:
    """Return whether two scenarios of one id are the same, such as in a checkout and a package."""
    return (
        scenario.file == other.file
        or Path(other.file).read_bytes() == Path(scenario.file).read_bytes()
    )


def _wrong_controls(scenario: Scenario, catalogue: Catalogue) -> Iterable[FileError]:
    """Yield what is wrong with the controls of *scenario*.

    Each must be in the catalogue, and call for another exit code under some contract, unless
    that leaves every exit code open.
    """
    yield from _missing_controls(scenario, catalogue)
    for contract, id_ in scenario.control.items():
        key = scenario.key(f"control.{contract}" if contract else "control")
        if contract and contract not in scenario.expect:
            yield FileError(scenario.file, f"it expects nothing under '{contract}'", key=key)
            continue
        control = catalogue.scenarios.get(id_)
        if control is None:
            hint = _closest(id_, catalogue.scenarios)
            yield FileError(scenario.file, f"no scenario '{id_}'", key=key, hint=hint)
            continue
        names = [contract] if contract else scenario.expect
        contracts = [catalogue.contracts[name] for name in names]
        if not any(_tells_apart(scenario, control, one) for one in contracts):
            wrong = f"'{id_}' does not call for another exit code"
            hint = "name the nearest scenario that does"
            yield FileError(scenario.file, wrong, key=key, hint=hint)


def _missing_controls(scenario: Scenario, catalogue: Catalogue) -> Iterable[FileError]:
    if not scenario.control.keys() <= {"", *scenario.expect}:
        return  # one is under a wrong name, which is an error of its own
    for name in scenario.expect:
        if not scenario.control_for(catalogue.contracts[name]):
            wrong = f"no control under '{name}'"
            hint = "name one for each contract"
            yield FileError(scenario.file, wrong, key=scenario.key("control"), hint=hint)


def _tells_apart(scenario: Scenario, control: Scenario, contract: Contract) -> bool:
    """Tell whether *control* calls for another answer; a scenario that any fits needs none."""
    ours = scenario.expected(contract)
    return contract.has_control(ours, control.expected(contract))


def select(
    catalogue: Catalogue,
    patterns: Sequence[str],
    contract: Contract,
    *,
    containers: bool = True,
    local: bool = True,
) -> list[Scenario]:
    """Return the scenarios of *contract* that *patterns* name.

    A pattern is an id, a glob with ``*`` and ``?``, or a file already loaded. Without *containers*,
    scenarios that only a container can show are left out, unless an id or a file names them; and
    without *local*, those that only a local probe can show.

    :raises UsageError: a pattern names nothing, or nothing is left.
    """
    candidates = {scenario.id: scenario for scenario in catalogue.in_contract(contract)}
    if not candidates and not patterns:
        wrong = f"no scenario is part of contract '{contract.name}'"
        raise UsageError(wrong, hint="see probe-conformance list")
    chosen: set[str] = set()
    for pattern in patterns or ("*",):
        for named in _named(pattern, catalogue, candidates):
            found = _matching(named, catalogue, candidates, contract)
            if not containers and named not in candidates:
                found = _without_containers(found, candidates, pattern)
            if not local and named not in candidates:
                found = _without_local(found, candidates, pattern)
            chosen.update(found)
    return [candidates[id_] for id_ in sorted(chosen)]


def _without_containers(
    ids: Iterable[str], candidates: Mapping[str, Scenario], pattern: str
) -> list[str]:
    """Return those of *ids*, which *pattern* names, that do not need a container."""
    found = [id_ for id_ in ids if candidates[id_].container is None]
    if not found:
        wrong = f"only a container can show what '{pattern}' names"
        raise UsageError(wrong, hint="name an image with --image")
    return found


def _without_local(
    ids: Iterable[str], candidates: Mapping[str, Scenario], pattern: str
) -> list[str]:
    """Return those of *ids*, which *pattern* names, that an image can show as well."""
    found = [id_ for id_ in ids if not candidates[id_].only_local]
    if not found:
        wrong = f"only a local probe can show what '{pattern}' names"
        raise UsageError(wrong, hint="name one with --probe")
    return found


def _named(pattern: str, catalogue: Catalogue, candidates: Mapping[str, Scenario]) -> list[str]:
    """Return the ids of the scenarios in the file that *pattern* names; any other pattern as is."""
    if not pattern.endswith(".toml"):
        return [pattern]
    here = catalogue.in_file(pattern)
    # If only some scenarios of a family are part of the contract, those are meant.
    return [id_ for id_ in here if id_ in candidates] or here[:1] or [pattern]


def _matching(
    pattern: str, catalogue: Catalogue, candidates: Mapping[str, Scenario], contract: Contract
) -> list[str]:
    if pattern in catalogue.scenarios and pattern not in candidates:
        if catalogue.scenarios[pattern].is_off(contract):
            wrong = f"contract '{contract.name}' has turned off all rules about '{pattern}'"
            raise UsageError(wrong, hint="leave it out, or choose another with --contract")
        wrong = f"scenario '{pattern}' is not part of contract '{contract.name}'"
        agent = catalogue.scenarios[pattern].agent
        if agent in contract.agents:
            raise UsageError(wrong, hint="choose another with --contract")
        wrong = f"scenario '{pattern}' is about {agent}, not {' or '.join(contract.agents)}"
        raise UsageError(wrong, hint="choose another with --contract or --agent")
    # Only * and ? are special: ids have no brackets, and fnmatch would read [..] as a set.
    expression = "".join(_WILDCARDS.get(c, re.escape(c)) for c in pattern)
    found = [id_ for id_ in candidates if re.fullmatch(expression, id_)]
    if not found:
        if any(re.fullmatch(expression, id_) for id_ in catalogue.scenarios):
            wrong = f"no scenario '{pattern}' is part of contract '{contract.name}'"
            raise UsageError(wrong, hint="choose another with --contract")
        group = _group(pattern, candidates)
        hint = f"did you mean {group}?" if group else _closest(pattern, candidates)
        raise UsageError(f"no scenario '{pattern}' in contract '{contract.name}'", hint=hint)
    return found


def _group(name: str, known: Iterable[str]) -> str:
    """Return the glob of all ids below *name*, quoted for a shell, or an empty string."""
    prefix = f"{name.rstrip('/')}/"
    return quote(f"{prefix}*") if any(id_.startswith(prefix) for id_ in known) else ""


def _closest(id_: str, known: Iterable[str]) -> str:
    """Return a hint with the ids that look like *id_*."""
    close = difflib.get_close_matches(id_, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "see probe-conformance list"

"""Start an entrypoint on this machine, with stubs in place of all that it may start."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from conformance.drivers.local.story import Stage
from conformance.drivers.local.view import View
from conformance.drivers.recorder import STATE, calls_in
from conformance.drivers.starts import HomeSeen, Plan, both, programs_in_place, seen
from conformance.home import build, mismatch, plan, remove, snapshot
from conformance.home.build import Unbuildable
from conformance.model.outcome import Execution, Outcome, Unsupported, not_run
from conformance.model.start import FileSeen, StartSeen

__all__ = ["STDIN", "LocalStarts"]

#: The file beside the HOME that a shell reads.
STDIN = "stdin"
#: Files of a HOME up to this size are read.
_LARGEST = 64 * 1024


class LocalStarts:
    """The starts of one scenario; its HOME is not built yet."""

    def __init__(self, stage: Stage) -> None:
        self.supervisor = stage.supervisor
        self.request = replace(stage.start, target=None)
        self.scenario = stage.scenario
        self.contract = stage.contract
        self.layout = stage.layout
        self.place = stage.place

    def run(self) -> Execution:
        """Start the entrypoint as often as the scenario says, and return what was seen.

        :raises ConformanceError: something around it cannot be made or changed.
        :raises OSError: the same.
        """
        todo = self._plan()
        self._build_stubs(todo)
        build(self.layout.home, self.place.home)
        known = [node.path for node in self.layout.home]
        before = HomeSeen(stamps=snapshot(self.place.home, known), files=self._files(todo))
        if wrong := mismatch(self.layout.home, before.stamps):
            return not_run(Unsupported(f"this file system does not hold the home: {wrong}"))
        starts: list[StartSeen] = []
        outcomes: list[Outcome] = []
        view = self._view()
        for number in range(2 if todo.start.again is not None else 1):
            if number:
                self._change(todo)
                before = HomeSeen(stamps=snapshot(self.place.home, known), files=self._files(todo))
            calls = len(calls_in(self._records(), todo.directory))
            outcome = self.supervisor.run(
                replace(
                    self.request,
                    env=todo.variables(number),
                    view=view,
                    stdin=self.request.stdin if todo.feeds_shell(number) else "",
                )
            )
            if not outcome.says_something:
                return Execution(outcome=outcome)
            after = HomeSeen(stamps=snapshot(self.place.home, known), files=self._files(todo))
            told = calls_in(self._records(), todo.directory, after=calls)
            starts.append(seen(todo, number, outcome, told, (before, after)))
            outcomes.append(outcome)
        changes = tuple(line for one in starts for line in one.changes)
        return Execution(outcome=both(outcomes), changes=changes, starts=tuple(starts))

    def _plan(self) -> Plan:
        return Plan(
            scenario=self.scenario,
            contract=self.contract,
            context=self.layout.context,
            environment=self.layout.environment,
            directory=str(self.place.cli),
            records=str(self.place.top / "records"),
            home=str(self.place.home),
            writes=self.layout.writes,
        )

    def _build_stubs(self, todo: Plan) -> None:
        build(todo.stubs(), self.place.cli)
        if self.layout.stubs is not None:
            build(self.layout.stubs.nodes(self.layout.asked), self.place.cli / STATE)
            (self.place.cli / STATE).chmod(0o555)
        self.place.cli.chmod(0o555)
        (self.place.top / "records").mkdir()
        (self.place.top / STDIN).write_bytes(todo.stdin())

    def _view(self) -> View | None:
        """Return what the entrypoint sees: stubs over programs that are named by their paths.

        :raises Unbuildable: one of those that it starts has no file here that a stub could cover.
        """
        in_place = programs_in_place(self.contract)
        view = self.request.view
        covers = []
        for program in in_place:
            if view is not None and os.path.isfile(program):
                stub = self.place.cli / os.path.basename(program)
                covers.append((os.path.realpath(program), str(stub)))
        covered = {program for program in in_place if os.path.realpath(program) in dict(covers)}
        for program in self._started():
            if program.startswith("/") and program not in covered:
                cause = f"no stub can stand in the place of {program} here"
                why = "an image shows that" if program in in_place else "the contract names others"
                raise Unbuildable(f"{cause}: {why}")
        if view is None or not covers:
            return view
        return replace(view, covers=(*view.covers, *covers))

    def _started(self) -> Iterable[str]:
        numbers = range(2 if self.scenario.start and self.scenario.start.again else 1)
        return {word for number in numbers for word in self._plan().expected(number)[:1]}

    def _records(self) -> dict[str, bytes]:
        """Return what the stubs have written, by path."""
        found = {}
        top = self.place.top / "records"
        for directory, _, names in os.walk(top):
            for name in names:
                path = Path(directory, name)
                found[str(path.relative_to(top))] = path.read_bytes()
        return found

    def _files(self, todo: Plan) -> dict[str, FileSeen]:
        if todo.seed is None:
            return {}
        return {todo.seed.file: _look(self.place.home / todo.seed.file)}

    def _change(self, todo: Plan) -> None:
        """Change the HOME between the two starts."""
        again = todo.start.again
        assert again is not None, "only then there is a second start"
        for path in again.removed:
            remove(self._inside(path))
        for node in plan(again.changed, todo.context):
            target = self._inside(os.fsdecode(node.path))
            if node.kind == "directory":
                target.mkdir(mode=node.mode, exist_ok=True)
                continue
            remove(target)
            with open(target, "xb") as file:
                file.writelines(node.chunks())
            target.chmod(node.mode)

    def _inside(self, path: str) -> Path:
        """Return where *path* of the HOME is; what the entrypoint has left may lead elsewhere.

        :raises Unbuildable: it lies outside, where nothing is ours to change.
        """
        target = self.place.home / path
        above = Path(os.path.realpath(target.parent))
        if not above.is_relative_to(os.path.realpath(self.place.home)):
            raise Unbuildable(f"a link on the way to {path} leads out of the HOME")
        return target


def _look(path: Path) -> FileSeen:
    """Return what lies at *path*."""
    try:
        status = os.lstat(path)
    except OSError:
        return FileSeen()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return FileSeen(kind="directory", mode=mode)
    content = None
    with suppress(OSError):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                content = file.read(_LARGEST)
    if stat.S_ISLNK(status.st_mode):
        return FileSeen(kind="symlink", mode=mode, content=content, target=os.readlink(path))
    if stat.S_ISREG(status.st_mode):
        return FileSeen(kind="file", mode=mode, content=content)
    return FileSeen(kind="other", mode=mode)

"""A home that stands on disk, and what a probe has changed in it."""

from __future__ import annotations

from conformance.drivers.layout import Layout
from conformance.drivers.local.home_directory import HomeDirectory
from conformance.home import Snapshot, build, changes, mismatch, snapshot
from conformance.home.build import Unbuildable
from conformance.home.snapshot import Statuses

__all__ = ["BuiltHome"]

#: The home, the opposite one, and what the system says of the entries of both.
_Look = tuple[Snapshot, Snapshot, Statuses]


class BuiltHome:
    """The home of a *layout*, built in *place*, with the opposite one that lies there already.

    :raises Unbuildable: it cannot be built here.
    """

    def __init__(self, layout: Layout, place: HomeDirectory) -> None:
        self.layout = layout
        self.place = place
        self._known = [node.path for node in layout.home]
        build(layout.home, place.home)
        self._before = self._look()
        if wrong := mismatch(layout.home, self._before[0]):
            raise Unbuildable(f"this file system does not hold the home: {wrong}")
        self.is_untouched = True
        """Whether all is as it was built, times included, as far as :meth:`changes` has seen."""

    def _look(self) -> _Look:
        statuses: Statuses = {}
        home = snapshot(self.place.home, self._known, statuses=statuses)
        return home, snapshot(self.place.opposite, statuses=statuses), statuses

    def changes(self) -> tuple[str, ...]:
        """Return what has changed since it was built and may not have, one line each."""
        after = self._look()
        self.is_untouched = after == self._before
        layout = self.layout
        in_home = changes(self._before[0], after[0], layout.writes, replaceable=layout.replaceable)
        opposite = changes(self._before[1], after[1], layout.writes)
        return (*in_home, *(f"in the opposite home: {change}" for change in opposite))

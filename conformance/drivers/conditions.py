"""What every driver makes of a scenario before it runs a probe: conditions to be checked, the home with the opposite answer."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from conformance.catalogue.scenarios import layer
from conformance.errors import FileError
from conformance.home import Node
from conformance.model.contract import Contract
from conformance.model.scenario import Entry, Scenario

__all__ = ["conditions", "opposite_home"]

#: Layers that are a good login, where they are not called AGENT-credentials.
_GOOD_CREDENTIALS = {"codex": "codex-auth"}


def opposite_home(scenario: Scenario, contract: Contract) -> tuple[Entry, ...]:
    """Return a home with the opposite of the answer that *scenario* expects.

    It holds good credentials, or none at all.

    :raises FileError: nobody has written down what good credentials of the agent are.
    """
    if all(contract.code(verdict) == 0 for verdict in scenario.expected(contract)):
        return ()
    name = _GOOD_CREDENTIALS.get(scenario.agent, f"{scenario.agent}-credentials")
    # Layers of one's own lie where ids count from: a directory higher for each part of the id.
    parts = scenario.id.count("/") - (1 if scenario.variant else 0)
    root = next(iter(Path(scenario.file).parents[parts : parts + 1]), None)
    try:
        return layer(name, name=scenario.file, root=root)
    except FileError as e:
        if e.key != "home.include":  # the layer is there, and wrong
            raise
        cause = f"no layer '{name}', the good login that '{contract.name}' needs beside the home"
        hint = f"write it to {root}/layers/{name}.toml"
        raise FileError(scenario.file, cause, hint=hint) from None


def conditions(nodes: Iterable[Node], base: bytes, uid: int) -> Iterable[tuple[str, bytes]]:
    """Yield what the modes and owners of *nodes* mean for the user *uid* that runs the probe, to be checked before it starts."""
    for node in nodes:
        if node.kind not in ("file", "directory"):
            continue
        mine = node.owner in (None, uid)
        path = base + b"/" + node.path if node.path else base
        if not node.mode & (stat.S_IRUSR if mine else stat.S_IROTH):
            yield "unreadable", path
        if node.kind == "directory" and not node.mode & (stat.S_IXUSR if mine else stat.S_IXOTH):
            yield "unsearchable", path

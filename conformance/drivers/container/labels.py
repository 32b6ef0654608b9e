"""What the suite makes on an engine carries labels, and what a run that is dead has left there is found by them.

Labels say which run made a thing, and where the lock is that the run holds as long as it lives. What belongs to another
machine, whose locks cannot be seen from here, is left alone until it is older than any run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError

from conformance.drivers.container.client import engine_errors
from conformance.errors import CannotJudge
from conformance.model.scenario import Scenario

__all__ = ["KEPT", "Labels", "remove_run", "sweep"]

PREFIX = "probe-conformance"
RUN = f"{PREFIX}.run"
LOCK = f"{PREFIX}.lock"
HOST = f"{PREFIX}.host"
MADE = f"{PREFIX}.made"
#: Stands on what is meant to stay after its run: the volumes of a case to be repeated by hand.
KEPT = f"{PREFIX}.kept"
#: "yes" on an image that a run has made, and so on what others start from it: only what we make ourselves says otherwise.
HANDED_DOWN = f"{PREFIX}.handed-down"

#: Seconds after which nothing of another machine can belong to a run that is alive.
STALE = 24 * 3600.0


class Labels:
    """The labels of one process of a run."""

    def __init__(self, run: str, lock: Path, worker: str, *, kept: bool = False) -> None:
        self.run = run
        self._common = {RUN: run, LOCK: str(lock), HOST: host(), f"{PREFIX}.worker": worker}
        if kept:
            self._common[KEPT] = "yes"

    def for_scenario(self, scenario: Scenario | None = None) -> dict[str, str]:
        """Return the labels of something made now, for *scenario* where it is for one."""
        own = {f"{PREFIX}.scenario": scenario.id} if scenario is not None else {}
        return {**self._common, MADE: f"{time.time():.0f}", HANDED_DOWN: "no", **own}

    def of_image(self) -> dict[str, str]:
        """Return the labels of an image made now, which hands them down to its containers."""
        return {**self.for_scenario(), HANDED_DOWN: "yes"}


def host() -> str:
    """Return a name of this machine that says nothing else about it."""
    identity = ""
    with suppress(OSError):
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return hashlib.sha256(f"{PREFIX} {identity} {socket.gethostname()}".encode()).hexdigest()[:16]


def remove_run(client: docker.DockerClient, run: str, *, keep: bool = False) -> None:
    """Remove all that the run called *run* has made; what it wants to *keep* stays.

    :raises CannotJudge: something cannot be removed.
    """
    with engine_errors("what the run has made cannot be removed"):
        for _ in range(50):
            left = [one for one in _labelled(client, f"{RUN}={run}") if not (keep and _kept(one[0], one[2]))]
            for wanted in ("container", "volume", "image"):
                with ThreadPoolExecutor(8) as pool:  # each takes the engine a fifth of a second
                    list(pool.map(lambda one: _remove(client, one[0], one[1]), [one for one in left if one[0] == wanted]))
            if not left:
                return
            time.sleep(0.1)  # the engine itself may be at work on one of them
        raise CannotJudge(f"the engine does not remove {', '.join(f'{kind} {id_}' for kind, id_, _labels in left[:3])}")


def sweep(client: docker.DockerClient, *, kept: bool = False) -> list[str]:
    """Remove what runs that are dead have left on the engine; return a name for each thing removed.

    With *kept*, also what was to stay for repeating a case by hand.

    :raises CannotJudge: the engine refuses.
    """
    removed = []
    with engine_errors("what dead runs have left cannot be removed"):
        for kind, id_, labels in _labelled(client, RUN):
            if (kept if _kept(kind, labels) else not _alive(labels)) and _remove(client, kind, id_):
                removed.append(f"{kind} {id_.removeprefix('sha256:')[:12] if kind != 'volume' else id_}")
    return removed


def _kept(kind: str, labels: Mapping[str, str]) -> bool:
    """Return whether something is meant to outlive its run, which no container is."""
    return KEPT in labels and kind != "container"


def _alive(labels: Mapping[str, str]) -> bool:
    """Return whether the run behind *labels* may still need what carries them."""
    if labels.get(HOST) != host():
        return _young(labels)
    path = labels.get(LOCK, "")
    if not os.path.isdir(os.path.dirname(path)):
        return _young(labels)  # perhaps a container beside ours, with a file system of its own
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # taken away by the run itself, at its end, or by a later one
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _young(labels: Mapping[str, str]) -> bool:
    made = labels.get(MADE, "")
    return not made.isdecimal() or time.time() - int(made) < STALE


def _labelled(client: docker.DockerClient, label: str) -> list[tuple[str, str, Mapping[str, str]]]:
    """Return kind, id and labels of everything with *label*: containers first, which hold on to the rest."""
    wanted = {"label": label}
    found: list[tuple[str, str, Mapping[str, str]]] = [
        # What somebody has started by hand from an image that was kept is theirs.
        ("container", one["Id"], labels)
        for one in client.api.containers(all=True, filters=wanted)
        if (labels := one.get("Labels") or {}).get(HANDED_DOWN) != "yes"
    ]
    volumes: list[dict[str, Any]] = client.api.volumes(filters=wanted).get("Volumes") or []
    found += [("volume", one["Name"], one.get("Labels") or {}) for one in volumes]
    # An image carries the labels of the container it was made from, and hands its own down to its containers.
    found += [("image", one["Id"], one.get("Labels") or {}) for one in client.api.images(filters=wanted)]
    return found


def _remove(client: docker.DockerClient, kind: str, id_: str) -> bool:
    """Remove one thing; return whether it was there, and not already on its way out."""
    try:
        if kind == "container":
            client.api.remove_container(id_, v=True, force=True)
        elif kind == "volume":
            client.api.remove_volume(id_, force=True)
        else:
            # Without noprune the image below goes as well where it has no name: the one under test.
            client.api.remove_image(id_, force=True, noprune=True)
    except APIError as e:
        if e.status_code in (404, 409):
            return False
        raise
    return True

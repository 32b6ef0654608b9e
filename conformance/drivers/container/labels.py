"""Labels on everything that the suite makes on an engine; they show what a dead run has left there.

They say which run made a thing, and where its lock is. A run holds its lock as long as it lives.
What belongs to another machine is left alone until it is older than any run, because its locks
cannot be seen from here.
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
from functools import partial
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
#: Marks what stays after its run: the volumes of a case to be repeated by hand.
KEPT = f"{PREFIX}.kept"
#: "yes" on an image of a run, and on containers that others start from it. Our own say "no".
HANDED_DOWN = f"{PREFIX}.handed-down"

#: Seconds after which nothing of another machine can belong to a living run.
STALE = 24 * 3600.0


class Labels:
    """The labels of one process of a run."""

    def __init__(self, run: str, lock: Path, worker: str, *, kept: bool = False) -> None:
        self.run = run
        self._common = {RUN: run, LOCK: str(lock), HOST: host(), f"{PREFIX}.worker": worker}
        if kept:
            self._common[KEPT] = "yes"

    def for_scenario(self, scenario: Scenario | None = None) -> dict[str, str]:
        """Return the labels of something made now, for *scenario* if one is given."""
        own = {f"{PREFIX}.scenario": scenario.id} if scenario is not None else {}
        return {**self._common, MADE: f"{time.time():.0f}", HANDED_DOWN: "no", **own}

    def of_image(self) -> dict[str, str]:
        """Return the labels of an image made now; its containers inherit them."""
        return {**self.for_scenario(), HANDED_DOWN: "yes"}


def host() -> str:
    """Return a name for this machine that reveals nothing about it."""
    identity = ""
    with suppress(OSError):
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return hashlib.sha256(f"{PREFIX} {identity} {socket.gethostname()}".encode()).hexdigest()[:16]


def remove_run(client: docker.DockerClient, run: str, *, keep: bool = False) -> None:
    """Remove all that *run* has made; with *keep*, what is marked to stay remains.

    :raises CannotJudge: something cannot be removed.
    """
    with engine_errors("what the run has made cannot be removed"):
        for _ in range(50):
            left: list[tuple[str, str]] = []
            for kind, id_, labels in _labelled(client, f"{RUN}={run}"):
                if not (keep and _kept(kind, labels)):
                    left.append((kind, id_))
            for wanted in ("container", "volume", "image"):
                ids = [id_ for kind, id_ in left if kind == wanted]
                with ThreadPoolExecutor(8) as pool:  # each takes the engine a fifth of a second
                    list(pool.map(partial(_remove, client, wanted), ids))
            if not left:
                return
            time.sleep(0.1)  # the engine may be at work on one of them
        names = ", ".join(f"{kind} {id_}" for kind, id_ in left[:3])
        raise CannotJudge(f"the engine does not remove {names}")


def sweep(client: docker.DockerClient, *, kept: bool = False) -> list[str]:
    """Remove what dead runs have left on the engine; return a name for each thing removed.

    With *kept*, also remove what was to stay for repeating a case by hand.

    :raises CannotJudge: the engine refuses.
    """
    removed = []
    with engine_errors("what dead runs have left cannot be removed"):
        for kind, id_, labels in _labelled(client, RUN):
            wanted = kept if _kept(kind, labels) else not _alive(labels)
            if wanted and _remove(client, kind, id_):
                name = id_ if kind == "volume" else id_.removeprefix("sha256:")[:12]
                removed.append(f"{kind} {name}")
    return removed


def _kept(kind: str, labels: Mapping[str, str]) -> bool:
    """Return whether something is to outlive its run; containers never do."""
    return KEPT in labels and kind != "container"


def _alive(labels: Mapping[str, str]) -> bool:
    """Return whether the run behind *labels* may still need what carries them."""
    if labels.get(HOST) != host():
        return _young(labels)
    path = labels.get(LOCK, "")
    if not os.path.isdir(os.path.dirname(path)):
        return _young(labels)  # perhaps another container, with a file system of its own
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # removed by the run itself at its end, or by a later run
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
    """Return kind, id and labels of all that has *label*: first containers, which use the rest."""
    wanted = {"label": label}
    found: list[tuple[str, str, Mapping[str, str]]] = []
    for container in client.api.containers(all=True, filters=wanted):
        labels = container.get("Labels") or {}
        # A container that somebody has started by hand from a kept image is theirs.
        if labels.get(HANDED_DOWN) != "yes":
            found.append(("container", container["Id"], labels))
    volumes: list[dict[str, Any]] = client.api.volumes(filters=wanted).get("Volumes") or []
    found += [("volume", volume["Name"], volume.get("Labels") or {}) for volume in volumes]
    # An image has the labels of the container it was made from, and passes its own to containers.
    for image in client.api.images(filters=wanted):
        found.append(("image", image["Id"], image.get("Labels") or {}))
    return found


def _remove(client: docker.DockerClient, kind: str, id_: str) -> bool:
    """Remove one thing; return whether it was there and not already being removed."""
    try:
        if kind == "container":
            client.api.remove_container(id_, v=True, force=True)
        elif kind == "volume":
            client.api.remove_volume(id_, force=True)
        else:
            # Without noprune the parent image goes as well if it has no name: the one under test.
            client.api.remove_image(id_, force=True, noprune=True)
    except APIError as e:
        if e.status_code in (404, 409):
            return False
        raise
    return True

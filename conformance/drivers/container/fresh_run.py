"""Run a program in a container of its own, from its start to its end."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import Any

import docker
import requests
from docker.errors import APIError
from msgspec.structs import replace

from conformance.drivers.container.client import ENGINE_ERRORS, EngineLost, engine_errors, message
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.streams import Attached, keep, streams_of
from conformance.errors import CannotJudge
from conformance.model.contract import Contract
from conformance.model.outcome import Exited, Killed, Outcome, TimedOut

__all__ = ["FreshRun", "with_signal"]

#: Seconds that the engine may take to say that a container has ended whose streams have.
_SAYS = 1.0
#: The same of one whose streams are open after the last moment: so it has not ended by then.
_AT_ONCE = 0.05
_KINDS = {0: "changed", 1: "added", 2: "removed"}


class FreshRun:
    """One container, made, run and removed."""

    def __init__(
        self, client: docker.DockerClient, spec: ContainerSpec, labels: dict[str, str]
    ) -> None:
        self._client = client
        self._spec = spec
        self.container = spec.create(client, labels)

    def run(self, seconds: float) -> Outcome:
        """Start the container and wait for its end, for at most *seconds*.

        :raises CannotJudge: it does not start.
        :raises EngineLost: the engine does not answer any more.
        """
        with engine_errors("the container cannot be attached to"):
            attached = Attached(self._client, self.container)
        outputs = streams_of()
        try:
            self._start()
            started = time.monotonic()
            least = _AT_ONCE
            with suppress(TimeoutError):
                keep(attached, outputs, started + seconds)
                least = _SAYS
            # A program can close its streams long before it ends.
            code = self._code(max(started + seconds, time.monotonic() + least))
            took = time.monotonic() - started
        finally:
            attached.close()
        return Outcome(
            ending=TimedOut() if code is None else Exited(code),
            why=self._why(code),
            stdout=bytes(outputs[1].data),
            stderr=bytes(outputs[2].data),
            truncated=outputs[1].truncated or outputs[2].truncated,
            seconds=took,
        )

    def _start(self) -> None:
        try:
            self._client.api.start(self.container)
        except ENGINE_ERRORS as e:
            said = message(e)
            if not isinstance(e, APIError):
                cause = f"the container engine was lost: {said}"
                raise EngineLost(cause, hint="see that it runs, then start again") from None
            raise CannotJudge(f"the container does not start: {said}") from None

    def _code(self, deadline: float) -> int | None:
        """Wait until *deadline*, in seconds of the monotonic clock, and return the exit status.

        Kill a container that has not ended by then, and return None.
        """
        api = self._client.api
        timeout = max(deadline - time.monotonic(), _AT_ONCE)
        with engine_errors("the engine does not say how the container ended"):
            try:
                # requests takes parts of a second, too.
                ended = api.wait(self.container, timeout=timeout)  # type: ignore[arg-type]
                return int(ended["StatusCode"])
            except (requests.ReadTimeout, requests.ConnectionError) as e:
                if not _is_timeout(e):
                    raise
            with suppress(APIError):  # it has ended in the meantime
                api.kill(self.container)
            return None

    def _why(self, code: int | None) -> str:
        """Return why the container was killed, if the engine did it; empty otherwise."""
        if code != 128 + signal.SIGKILL:
            return ""
        with engine_errors("the engine does not say how the container ended"):
            state = self._client.api.inspect_container(self.container)["State"]
        if not state.get("OOMKilled"):
            return ""
        return f"out of memory, the limit is {self._spec.confinement.memory}"

    def changed_outside(self) -> tuple[str, ...]:
        """Return what has changed in the file system outside the volumes, a line each.

        The engine compares the whole file system. That takes as long as starting a container, or
        longer.
        """
        if self._spec.read_only:
            return ()
        with engine_errors("the engine does not say what has changed"):
            diff: list[dict[str, Any]] = self._client.api.diff(self.container) or []
        kinds = {entry["Path"]: _KINDS.get(entry["Kind"], "changed") for entry in diff}
        changes = []
        for path, kind in sorted(kinds.items()):
            if any(_overlap(path, volume.target) for volume in self._spec.volumes):
                continue
            # A directory counts as changed when something below it has, and that is listed itself.
            if kind == "changed" and any(other.startswith(f"{path}/") for other in kinds):
                continue
            changes.append(f"{kind} {path}")
        return tuple(changes)

    def close(self) -> None:
        """Remove the container."""
        with suppress(*ENGINE_ERRORS):
            self._client.api.remove_container(self.container, v=True, force=True)


def with_signal(outcome: Outcome, contract: Contract) -> Outcome:
    """Return *outcome* with the signal that its exit status stands for.

    Engines and shells report 128 + N for a death by signal N. An exit with that code looks the
    same, so it counts as the signal unless the contract knows the code.
    """
    code = outcome.code
    if code is None or not 128 < code <= 128 + 64:
        return outcome
    if contract.verdicts_of(code) and not outcome.why:
        return outcome
    return replace(outcome, ending=Killed(code - 128))


def _overlap(one: str, other: str) -> bool:
    """Return whether two paths are the same, or one is below the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _is_timeout(error: requests.RequestException) -> bool:
    """Return whether *error* is a time-out; some versions of requests report a lost connection."""
    return isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error)

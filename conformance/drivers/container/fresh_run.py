"""Run a program in a container of its own, from its start to its end."""

from __future__ import annotations

import math
import signal
import time
from contextlib import suppress

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

_KINDS = {0: "changed", 1: "added", 2: "removed"}


class FreshRun:
    """One container, made, run and removed."""

    def __init__(self, client: docker.DockerClient, spec: ContainerSpec, labels: dict[str, str]) -> None:
        self._client = client
        self._spec = spec
        self.container = spec.create(client, labels)

    def run(self, seconds: float) -> Outcome:
        """Start it, and wait for its end, but no longer than so many *seconds*.

        :raises CannotJudge: it does not start.
        :raises EngineLost: the engine does not answer any more.
        """
        with engine_errors("the container cannot be attached to"):
            attached = Attached(self._client, self.container)
        outputs = streams_of()
        try:
            self._start()
            started = time.monotonic()
            with suppress(TimeoutError):
                keep(attached, outputs, started + seconds)
            # A program may close its streams long before its end.
            code = self._code(started + seconds)
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
                raise EngineLost(f"the container engine was lost: {said}", hint="see that it runs, then start again") from None
            raise CannotJudge(f"the container does not start: {said}") from None

    def _code(self, deadline: float) -> int | None:
        """Wait for the end until *deadline*, in seconds of the monotonic clock; return its exit status, or kill it."""
        api = self._client.api
        with engine_errors("the engine does not say how the container ended"):
            try:
                return int(api.wait(self.container, timeout=max(math.ceil(deadline - time.monotonic()), 1))["StatusCode"])
            except (requests.ReadTimeout, requests.ConnectionError) as e:
                if not _is_timeout(e):
                    raise
            with suppress(APIError):  # it has ended by itself meanwhile
                api.kill(self.container)
            return None

    def _why(self, code: int | None) -> str:
        if code != 128 + signal.SIGKILL:
            return ""
        with engine_errors("the engine does not say how the container ended"):
            state = self._client.api.inspect_container(self.container)["State"]
        return f"out of memory, the limit is {self._spec.confinement.memory}" if state.get("OOMKilled") else ""

    def changed_outside(self) -> tuple[str, ...]:
        """Return what has changed in its file system beside the volumes, a line each.

        The engine compares the whole file system, which takes as long as starting a container, or longer.
        """
        if self._spec.read_only:
            return ()
        with engine_errors("the engine does not say what has changed"):
            found = {one["Path"]: _KINDS.get(one["Kind"], "changed") for one in self._client.api.diff(self.container) or []}
        places = [volume.target for volume in self._spec.volumes]
        ours = {path for path in found for place in places if f"{place}/".startswith(f"{path}/") or path.startswith(f"{place}/")}
        above = {path for path, kind in found.items() if kind == "changed" and any(p.startswith(f"{path}/") for p in found)}
        return tuple(f"{found[path]} {path}" for path in sorted(found.keys() - ours - above))

    def close(self) -> None:
        """Remove it."""
        with suppress(*ENGINE_ERRORS):
            self._client.api.remove_container(self.container, v=True, force=True)


def with_signal(outcome: Outcome, contract: Contract) -> Outcome:
    """Return *outcome* with the signal that its exit status stands for.

    Engines and shells say 128 + N for a death by signal N, which an exit with that code looks like: unless the contract
    knows the code, it is taken for the signal.
    """
    code = outcome.code
    if code is None or not 128 < code <= 128 + 64 or (contract.verdicts_of(code) and not outcome.why):
        return outcome
    return replace(outcome, ending=Killed(code - 128))


def _is_timeout(error: requests.RequestException) -> bool:
    """Return whether *error* is the end of our patience; some versions of requests wrap it as a lost connection."""
    return isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error)

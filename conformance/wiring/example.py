"""A manifest that is right, for a contract."""

from __future__ import annotations

import math

from conformance.model.contract import Contract

__all__ = ["example"]

_TEMPLATE = """\
apiVersion: v1
kind: Pod
metadata:
  name: slot
spec:
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001 # the image's user, as a number
    runAsGroup: 10001
    fsGroup: 10001 # so that this user may write to the volume
  containers:
    - name: agent
      image: slot-image:ci
      env:
{variables}
      startupProbe:
        exec:
          command: [{command}]
        timeoutSeconds: {timeout} # contract {contract} gives an answer {limit:g}, Kubernetes 1
        periodSeconds: {period}
        failureThreshold: {failures} # {room} seconds at least until the container is killed
      volumeMounts:
        - name: home
          mountPath: /home/agent
  volumes:
    - name: home
      persistentVolumeClaim:
        claimName: slot-home # a login outlives the Pod
"""


def example(contract: Contract) -> str:
    """Return a manifest, as YAML, in which no rule finds anything with *contract*."""
    inputs = contract.inputs
    variables = {"AGENT_MODE": "worker", "HOME": "/home/agent"}
    if inputs.agent:
        variables[inputs.agent] = contract.agents[0]
    variables.setdefault(inputs.home, "/home/agent")
    lines = [
        f"        - name: {name}\n          value: {value}" for name, value in variables.items()
    ]
    words = contract.commands.get(contract.agents[0], ())
    if not words:
        words = (f"/opt/conformance/{contract.reference or 'probe'}",)
    limit = contract.limits.seconds
    period = 10
    failures = max(30, math.ceil(4 * limit / period))
    return _TEMPLATE.format(
        variables="\n".join(lines),
        command=", ".join(words),
        timeout=math.ceil(limit) + 5,
        contract=contract.name,
        limit=limit,
        period=period,
        failures=failures,
        room=failures * period,
    )

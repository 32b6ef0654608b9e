"""How rules make findings."""

from __future__ import annotations

from conformance.wiring.findings import RULES, Finding
from conformance.wiring.image import ImageView
from conformance.wiring.runs import ProbeRun, Request, Subject
from conformance.wiring.tree import Place
from conformance.wiring.workloads import Container, Workload

__all__ = ["Context", "finding"]


def finding(
    rule: str,
    place: Place,
    message: str,
    way_out: str,
    *,
    workload: Workload,
    container: Container | None = None,
) -> Finding:
    """Return the finding that *place* breaks *rule*."""
    assert rule in RULES
    return Finding(
        rule=rule,
        message=message,
        way_out=way_out,
        file=place.file,
        line=place.line,
        path=place.path,
        workload=str(workload),
        container=container.name if container is not None else "",
    )


class Context:
    """One subject, and by what it is judged."""

    def __init__(self, request: Request, subject: Subject) -> None:
        self.request = request
        self.subject = subject
        self.contract = request.contract
        self.workload = subject.workload
        self.agent = subject.agent

    @property
    def limit(self) -> float:
        """The seconds that the contract gives a probe."""
        return self.contract.limits.seconds

    def image(self, container: Container) -> ImageView | None:
        """Return what the image of *container* has; None if it was not looked at."""
        request = self.request
        if request.image_is_named and container.image != request.image_reference:
            return None
        return request.image

    @property
    def agent_name(self) -> str | None:
        """The agent that the manifest names; None if it is not known."""
        name = self.contract.inputs.agent
        if self.agent is None or not name:
            agents = self.contract.agents
            return agents[0] if len(agents) == 1 else None
        variable = self.agent.variables(self.request.configs).get(name)
        if variable is not None:
            return variable.value
        value = self.request.variables.get(name)
        image = self.image(self.agent)
        if value is None and image is not None:
            value = image.environment.get(name)
        return value

    def home(self, container: Container) -> str | None:
        """Return the home that the probe looks at in *container*; None if it is not known."""
        name = self.contract.inputs.home
        variable = container.variables(self.request.configs).get(name)
        if variable is not None:
            return variable.value.rstrip("/") or None if variable.value else None
        value = self.request.variables.get(name)
        image = self.image(container)
        if value is None and image is not None:
            value = image.environment.get(name)
            if value is None and name == "HOME" and self.user(container) == image.uid:
                value = image.home
        return value.rstrip("/") or None if value else None

    def user(self, container: Container) -> int | None:
        """Return the uid that *container* runs as; None if it is not known."""
        said = container.security("runAsUser")
        if isinstance(said, int) and not isinstance(said, bool):
            return said
        image = self.image(container)
        return image.uid if said is None and image is not None else None

    def is_no_root(self, container: Container) -> bool:
        """Return whether *container* certainly does not run as root."""
        user = self.user(container)
        return user != 0 if user is not None else container.security("runAsNonRoot") is True

    def finding(
        self, rule: str, place: Place, message: str, way_out: str, run: ProbeRun | None = None
    ) -> Finding:
        """Return the finding that *place* breaks *rule*, in the container of *run* or the agent."""
        container = run.container if run is not None else self.agent
        return finding(rule, place, message, way_out, workload=self.workload, container=container)

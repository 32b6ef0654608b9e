"""What can be wrong with a manifest: rules by name, and findings, which break them."""

from __future__ import annotations

from msgspec import Struct

from conformance.model.contract import Level

__all__ = ["RULES", "Finding", "Rule"]


class Rule(Struct, frozen=True):
    """One sentence about a manifest."""

    level: Level
    """Whether breaking it is wrong (``must``), or advice (``should``)."""
    text: str


class Finding(Struct, frozen=True, kw_only=True):
    """One place in a manifest that breaks a rule."""

    rule: str
    message: str
    way_out: str
    file: str
    line: int
    """Of the file, from 1."""
    path: str
    """The keys that lead to the place, from the top of its document."""
    workload: str
    """Kind and name, such as ``Pod slot``."""
    container: str = ""

    @property
    def level(self) -> Level:
        """The level of its rule."""
        return RULES[self.rule].level


#: Every rule by name. Names are stable: people suppress and search them.
RULES = {
    "nothing-runs-the-probe": Rule(
        "must",
        "A startupProbe, a readinessProbe, an init container or a Job runs the probe",
    ),
    "not-exec": Rule(
        "must", "The startupProbe runs the probe: what asks a port asks something else"
    ),
    "only-liveness": Rule("must", "It is a startupProbe that decides about the start"),
    "timeout-too-short": Rule(
        "must", "timeoutSeconds, which is 1 where it is left out, is not below the contract's limit"
    ),
    "inner-timeout-too-short": Rule(
        "must", "No timeout in the command is below the contract's limit"
    ),
    "deadline-too-short": Rule(
        "must", "No deadline of the Pod or Job is below the contract's limit"
    ),
    "little-room": Rule(
        "should", "failureThreshold × periodSeconds leaves room for a slow first start: two limits"
    ),
    "one-failure-kills": Rule("should", "One failure, which may pass, does not end the container"),
    "success-threshold": Rule(
        "must", "successThreshold of a startup or liveness probe is 1, or Kubernetes refuses it"
    ),
    "refused-number": Rule("must", "Numbers of a probe are whole, and not below zero"),
    "no-handler": Rule("must", "A probe says what it runs"),
    "several-handlers": Rule("must", "A probe has one handler"),
    "probe-on-init-container": Rule(
        "must", "An init container has probes only where it is a sidecar: restartPolicy Always"
    ),
    "one-long-string": Rule("must", "A command is a list of words: no shell splits one string"),
    "word-not-a-text": Rule("must", "Every word of a command is a text, and no number"),
    "no-shell": Rule("must", "What only a shell understands is given to a shell"),
    "exit-code-swallowed": Rule("must", "The exit code of the probe is that of the command"),
    "exit-code-may-be-lost": Rule(
        "should", "The exit code of the probe is that of the command, whatever runs after it"
    ),
    "exit-code-changed": Rule(
        "should", "Where an exit code is kept, it is that of the probe, number for number"
    ),
    "not-the-probe": Rule("should", "The startupProbe runs the probe, and no stand-in for it"),
    "input-missing": Rule(
        "must", "The container that runs the probe has the variables of the contract's inputs"
    ),
    "agent-not-mapped": Rule("must", "The agent's variable holds an agent of the contract"),
    "config-counts-as-login": Rule(
        "must", "No file is mounted where the contract takes any file for a login"
    ),
    "config-may-count-as-login": Rule(
        "should", "No ConfigMap is mounted where the contract may take its files for a login"
    ),
    "links-are-no-login": Rule(
        "must", "A Secret is not mounted where the contract follows no links: its files are links"
    ),
    "directory-for-a-file": Rule(
        "must", "A volume in the place of a file is mounted with subPath: else it is a directory"
    ),
    "credentials-unreadable": Rule(
        "must", "The user that runs the probe may read the credentials that are mounted"
    ),
    "credentials-read-only": Rule(
        "should", "Credentials can be written: a CLI renews a login, and stores it"
    ),
    "home-read-only": Rule("should", "The agent may write to its HOME"),
    "volume-not-writable": Rule(
        "should",
        "A volume of the HOME belongs to a group of the user: fsGroup, where it is no root",
    ),
    "home-elsewhere": Rule("should", "Credentials are mounted below the HOME that the probe gets"),
    "no-such-volume": Rule("must", "Every mount names a volume of the Pod"),
    "gate-sees-another-home": Rule(
        "must", "An init container that runs the probe mounts what holds the agent's credentials"
    ),
    "gate-other-image": Rule(
        "should", "An init container that runs the probe has the agent's image"
    ),
    "liveness-runs-the-probe": Rule(
        "should", "No liveness probe runs the probe: to kill a container mends no login"
    ),
    "post-start-runs-the-probe": Rule("should", "postStart does not run the probe"),
    "probe-restarts": Rule("should", "A container that only runs the probe is not restarted"),
    "job-loses-code": Rule(
        "should", "A Job that runs the probe keeps its Pod: restartPolicy Never"
    ),
    "code-not-kept": Rule(
        "should", "Nothing waits for exit codes of a startupProbe: only zero or not arrives"
    ),
    "restart-policy-refused": Rule(
        "must", "Pods of a Job have restartPolicy Never or OnFailure, those of a Deployment Always"
    ),
    "policy-needs-never": Rule("must", "podFailurePolicy goes with restartPolicy Never"),
    "key-twice": Rule("must", "No key is listed twice"),
    "structure": Rule("must", "Kubernetes knows every key, and each has the type that it takes"),
    "program-not-in-image": Rule("must", "The program of the probe's command is in the image"),
    "entrypoint-in-wrong-mode": Rule(
        "must", "The image's entrypoint is the probe only with AGENT_MODE=smoke-test"
    ),
    "user-not-a-number": Rule(
        "must", "runAsNonRoot needs a uid: Kubernetes cannot tell that a name is not root"
    ),
    "root-refused": Rule("must", "runAsNonRoot does not go with a container that runs as root"),
}

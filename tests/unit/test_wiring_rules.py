"""The rules about manifests: wrong ones with one vice each, and right ones that are unusual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from factories import bundled_catalogue

from conformance.catalogue import contracts
from conformance.wiring.check import Checked, check
from conformance.wiring.commands import Recogniser
from conformance.wiring.compared import programs_of
from conformance.wiring.example import example
from conformance.wiring.findings import RULES
from conformance.wiring.image import ImageView
from conformance.wiring.runs import Request
from conformance.wiring.structure import open_structure
from conformance.wiring.tree import read_documents

STRUCTURE = open_structure()
CONTRACTS = contracts.bundled()
#: The manifest that everything here is made from.
RIGHT = """\
apiVersion: v1
kind: Pod
metadata:
  name: slot
spec:
  securityContext:
    runAsUser: 10001
    fsGroup: 10001
  initContainers: []
  containers:
    - name: agent
      image: slot-image:ci
      env:
        - name: WOVED_TASK_AGENT
          value: claude
        - name: HOME
          value: /home/agent
      startupProbe:
        exec:
          command: [/opt/conformance/slot.py]
        timeoutSeconds: 20
        periodSeconds: 10
        failureThreshold: 30
      volumeMounts:
        - name: home
          mountPath: /home/agent
  volumes:
    - name: home
      persistentVolumeClaim:
        claimName: slot-home
"""
COMMAND = "[/opt/conformance/slot.py]"
EXEC = f"        exec:\n          command: {COMMAND}\n"
PROBE = RIGHT[RIGHT.index("      startupProbe:") : RIGHT.index("      volumeMounts:")]
MOUNTS = RIGHT[RIGHT.index("      volumeMounts:") : RIGHT.index("  volumes:")]
AGENT = "        - name: WOVED_TASK_AGENT\n          value: claude\n"
HOME = "        - name: HOME\n          value: /home/agent\n"
CLAIM = "      persistentVolumeClaim:\n        claimName: slot-home\n"
SECOND = "    - name: log\n      image: log:1\n"
GATE = f"    - name: gate\n      image: slot-image:ci\n      command: {COMMAND}\n      env:\n{AGENT}{HOME}{MOUNTS}"


def request(contract: str = "slot", probe: tuple[str, ...] = (), **more: Any) -> Request:
    """Return what the command makes of its options."""
    known = CONTRACTS[contract]
    scenarios = bundled_catalogue().scenarios
    return Request(
        contract=known,
        recogniser=Recogniser(probe, tuple(known.commands.values()), known.reference),
        any_file_is_login="ready" in scenarios["claude/artifact-not-json"].expected(known),
        **more,
    )


def checked(text: str, contract: str = "slot", **more: Any) -> Checked:
    return check(read_documents("pod.yaml", text), request(contract, **more), STRUCTURE)


def rules(found: Checked) -> set[str]:
    return {finding.rule for finding in found.findings}


def edited(*edits: tuple[str, str], text: str = RIGHT) -> str:
    """Return the right manifest with each text replaced, which has to stand there once."""
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def command(words: str) -> str:
    return edited((COMMAND, words))


def init_container(text: str, base: str = RIGHT) -> str:
    return edited(("  initContainers: []\n", f"  initContainers:\n{text}"), text=base)


def test_the_right_manifest_has_no_finding() -> None:
    found = checked(RIGHT)

    assert found.findings == []
    assert [run.where for subject in found.subjects for run in subject.runs] == ["startupProbe"]


@pytest.mark.parametrize("contract", ["slot", "slot-strict", "preflight", "cli-status"])
def test_the_example_is_right(contract: str) -> None:
    found = checked(example(CONTRACTS[contract]), contract)

    assert found.findings == []
    assert found.notes == []
    assert found.subjects[0].runs[0].certain


def secret(source: str, mounted: str = "") -> str:
    """Return a manifest whose login is a Secret, for a user who is not root."""
    return edited(
        ("    fsGroup: 10001\n", ""),
        (CLAIM, f"      secret:\n        secretName: login\n        {source}\n"),
        ("mountPath: /home/agent", f"mountPath: /home/agent/.claude{mounted}"),
    )


#: Vice to manifest, and the one rule that it breaks.
WRONG = {
    "timeout-left-out": (edited(("        timeoutSeconds: 20\n", "")), "timeout-too-short"),
    "timeout-zero-is-one": (
        edited(("timeoutSeconds: 20", "timeoutSeconds: 0")),
        "timeout-too-short",
    ),
    "timeout-one-below-the-limit": (
        edited(("timeoutSeconds: 20", "timeoutSeconds: 14")),
        "timeout-too-short",
    ),
    "timeout-is-a-text": (edited(("timeoutSeconds: 20", 'timeoutSeconds: "20"')), "refused-number"),
    "period-below-zero": (edited(("periodSeconds: 10", "periodSeconds: -1")), "refused-number"),
    "threshold-of-a-half": (
        edited(("failureThreshold: 30", "failureThreshold: 1.5")),
        "refused-number",
    ),
    "misspelt-key": (
        edited(
            ("failureThreshold: 30", "faillureThreshold: 30"),
            ("periodSeconds: 10", "periodSeconds: 20"),
        ),
        "structure",
    ),
    "misspelt-probe": (
        edited(
            (
                "        failureThreshold: 30\n",
                f"        failureThreshold: 30\n      livenesProbe:\n{EXEC}",
            )
        ),
        "structure",
    ),
    "wrong-api-version": (edited(("apiVersion: v1", "apiVersion: v2")), "structure"),
    "success-threshold-two": (
        edited(("failureThreshold: 30", "failureThreshold: 30\n        successThreshold: 2")),
        "success-threshold",
    ),
    "one-failure-of-ten-seconds": (
        edited(("failureThreshold: 30", "failureThreshold: 1")),
        "one-failure-kills",
    ),
    "room-of-less-than-one-answer": (
        edited(
            ("periodSeconds: 10", "periodSeconds: 1"),
            ("failureThreshold: 30", "failureThreshold: 3"),
        ),
        "little-room",
    ),
    "little-room": (edited(("failureThreshold: 30", "failureThreshold: 2")), "little-room"),
    "room-of-exactly-one-answer": (
        edited(
            ("periodSeconds: 10", "periodSeconds: 5"),
            ("failureThreshold: 30", "failureThreshold: 3"),
        ),
        "little-room",
    ),
    "one-failure": (
        edited(
            ("failureThreshold: 30", "failureThreshold: 1"),
            ("periodSeconds: 10", "periodSeconds: 60"),
        ),
        "one-failure-kills",
    ),
    "tcp-socket": (edited((EXEC, "        tcpSocket: {port: 8080}\n")), "not-exec"),
    "http-get": (edited((EXEC, "        httpGet: {path: /healthz, port: 8080}\n")), "not-exec"),
    "grpc": (edited((EXEC, "        grpc: {port: 8080}\n")), "not-exec"),
    "two-handlers": (
        edited((EXEC, f"{EXEC}        tcpSocket: {{port: 8080}}\n")),
        "several-handlers",
    ),
    "no-handler": (edited((EXEC, "")), "no-handler"),
    "empty-command": (command("[]"), "no-handler"),
    "no-probe": (edited((PROBE, "")), "nothing-runs-the-probe"),
    "null-probe": (edited((PROBE, "      startupProbe: null\n")), "nothing-runs-the-probe"),
    "exec-of-nothing": (edited((EXEC, "        exec: {}\n")), "no-handler"),
    "swallowed-under-another-name": (
        command("[sh, -c, '/opt/check-login || true']"),
        "exit-code-swallowed",
    ),
    "a-stand-in": (command("[cat, /tmp/healthy]"), "not-the-probe"),
    "only-liveness": (edited(("startupProbe", "livenessProbe")), "only-liveness"),
    "liveness-for-ever": (
        edited((PROBE, PROBE + PROBE.replace("startupProbe", "livenessProbe"))),
        "liveness-runs-the-probe",
    ),
    "liveness-for-ever-of-any-name": (
        edited(
            (PROBE, PROBE + PROBE.replace("startupProbe", "livenessProbe")),
        ).replace("/opt/conformance/slot.py", "/opt/check-login"),
        "liveness-runs-the-probe",
    ),
    "post-start": (
        edited(
            (
                PROBE,
                f"      lifecycle:\n        postStart:\n  {EXEC.replace('          ', '            ')}",
            )
        ),
        "post-start-runs-the-probe",
    ),
    "one-long-string": (command('["python3 /opt/conformance/slot.py"]'), "one-long-string"),
    "one-long-string-with-argument": (command('["/opt/probe --quick"]'), "one-long-string"),
    "one-long-string-that-ends-in-a-path": (
        command('["sh -c /opt/conformance/slot.py"]'),
        "one-long-string",
    ),
    "one-long-string-with-a-path-as-its-argument": (
        command('["/opt/conformance/slot.py --home /home/agent"]'),
        "one-long-string",
    ),
    "number-in-a-command": (command("[timeout, 20, /opt/conformance/slot.py]"), "word-not-a-text"),
    "truth-in-a-main-program": (
        edited(
            (PROBE, f"      command: {COMMAND}\n      args: [true]\n"),
            ("  initContainers: []\n", "  restartPolicy: Never\n"),
        ),
        "word-not-a-text",
    ),
    "env-splits-into-a-short-limit": (
        command('[env, -S, "timeout 5 /opt/conformance/slot.py"]'),
        "inner-timeout-too-short",
    ),
    "shell-in-one-word": (command('["sh -c", "/opt/probe"]'), "one-long-string"),
    "or-without-a-shell": (command('[/opt/probe, "||", "exit", "1"]'), "no-shell"),
    "pipe-without-a-shell": (command('[/opt/probe, "|", tee, /tmp/log]'), "no-shell"),
    "inner-timeout-by-any-name": (
        command("[sh, -c, 'timeout 5 /opt/check-login']"),
        "inner-timeout-too-short",
    ),
    "home-without-a-shell": (command('["$HOME/bin/probe"]'), "no-shell"),
    "or-true": (command('[sh, -c, "/opt/probe || true"]'), "exit-code-swallowed"),
    "or-echo": (command("[sh, -c, '/opt/probe || echo failed']"), "exit-code-swallowed"),
    "then-exit-0": (command('[bash, -c, "/opt/probe; exit 0"]'), "exit-code-swallowed"),
    "piped-to-tee": (command('[sh, -c, "/opt/probe 2>&1 | tee /tmp/log"]'), "exit-code-swallowed"),
    "in-the-background": (command('[sh, -c, "/opt/probe &"]'), "exit-code-swallowed"),
    "code-written-down": (
        command('[sh, -c, "/opt/probe; echo $? > /tmp/code"]'),
        "exit-code-swallowed",
    ),
    "code-kept-in-a-variable": (
        command('[sh, -c, "/opt/probe || code=$?"]'),
        "exit-code-swallowed",
    ),
    "turned-round": (command('[sh, -c, "! /opt/probe"]'), "exit-code-swallowed"),
    "then-something": (command('[sh, -c, "/opt/probe; /opt/report"]'), "exit-code-may-be-lost"),
    "inner-timeout": (command("[timeout, '10', /opt/probe]"), "inner-timeout-too-short"),
    "inner-timeout-in-a-shell": (
        command("[sh, -c, 'exec timeout -k 1 5s /opt/probe']"),
        "inner-timeout-too-short",
    ),
    "agent-misspelt-in-the-command": (
        command("[env, WOVED_TASK_AGENT=ghost, /opt/probe]"),
        "agent-not-mapped",
    ),
    "option-that-looks-like-a-login-shell": (
        edited((AGENT, ""), (COMMAND, "[/opt/probe, -l]")),
        "input-missing",
    ),
    "variable-missing": (edited((AGENT, "")), "input-missing"),
    "variable-on-another-container": (
        edited((AGENT, ""), ("  volumes:\n", f"{SECOND}      env:\n{AGENT}  volumes:\n")),
        "input-missing",
    ),
    "environment-cleared": (command("[env, -i, /opt/probe]"), "input-missing"),
    "agent-misspelt": (edited(("value: claude", "value: Claude")), "agent-not-mapped"),
    "agent-empty": (edited(("value: claude", 'value: ""')), "agent-not-mapped"),
    "no-such-volume": (
        edited(
            (
                "      volumeMounts:\n        - name: home",
                "      volumeMounts:\n        - name: hime",
            )
        ),
        "no-such-volume",
    ),
    "secret-over-claude": (
        edited(
            (MOUNTS, f"{MOUNTS}        - name: login\n          mountPath: /home/agent/.claude\n"),
            (
                "  volumes:\n",
                "  volumes:\n    - name: login\n      secret:\n        secretName: login\n",
            ),
        ),
        "credentials-read-only",
    ),
    "secret-in-the-place-of-a-file": (
        edited(
            (
                MOUNTS,
                f"{MOUNTS}        - name: login\n          mountPath: /home/agent/.claude/.credentials.json\n",
            ),
            (
                "  volumes:\n",
                "  volumes:\n    - name: login\n      secret:\n        secretName: login\n",
            ),
        ),
        "directory-for-a-file",
    ),
    "secret-put-together-over-codex": (
        edited(
            ("value: claude", "value: codex"),
            (MOUNTS, f"{MOUNTS}        - name: login\n          mountPath: /home/agent/.codex\n"),
            (
                "  volumes:\n",
                "  volumes:\n    - name: login\n      projected:\n"
                "        sources: [{secret: {name: a}}, {configMap: {name: b}}]\n",
            ),
        ),
        "credentials-read-only",
    ),
    "configs-put-together-over-claude": (
        edited(
            (MOUNTS, f"{MOUNTS}        - name: rules\n          mountPath: /home/agent/.claude\n"),
            (
                "  volumes:\n",
                "  volumes:\n    - name: rules\n      projected:\n        sources: [{configMap: {name: b}}]\n",
            ),
        ),
        "config-may-count-as-login",
    ),
    "config-over-claude": (
        edited(
            (MOUNTS, f"{MOUNTS}        - name: rules\n          mountPath: /home/agent/.claude\n"),
            (
                "  volumes:\n",
                "  volumes:\n    - name: rules\n      configMap:\n        name: rules\n",
            ),
        ),
        "config-may-count-as-login",
    ),
    "config-is-a-login": (
        edited(
            (
                MOUNTS,
                f"{MOUNTS}        - name: rules\n          mountPath: /home/agent/.claude/skills\n",
            ),
            (
                "  volumes:\n",
                "  volumes:\n    - name: rules\n      configMap:\n        name: rules\n"
                "        items: [{key: a, path: review.md}]\n",
            ),
        ),
        "config-counts-as-login",
    ),
    "secret-nobody-may-read": (
        edited(
            ("    fsGroup: 10001\n", ""),
            (CLAIM, "      secret:\n        secretName: login\n        defaultMode: 0400\n"),
            ("mountPath: /home/agent", "mountPath: /home/agent/.claude"),
        ),
        "credentials-unreadable",
    ),
    "mode-too-large": (
        edited(
            ("    fsGroup: 10001\n", ""),
            (CLAIM, "      secret:\n        secretName: login\n        defaultMode: 640\n"),
            ("mountPath: /home/agent", "mountPath: /home/agent/.claude"),
        ),
        "refused-number",
    ),
    "secret-with-a-decimal-mode": (
        edited(
            ("    fsGroup: 10001\n", ""),
            (CLAIM, "      secret:\n        secretName: login\n        defaultMode: 400\n"),
            ("mountPath: /home/agent", "mountPath: /home/agent/.claude"),
        ),
        "credentials-unreadable",
    ),
    "item-nobody-may-read": (
        secret("defaultMode: 0444\n        items: [{key: a, path: session, mode: 0400}]"),
        "credentials-unreadable",
    ),
    "part-nobody-may-read": (
        secret(
            "items: [{key: a, path: s, mode: 0400}, {key: b, path: t}]",
            "/.credentials.json\n          subPath: s",
        ),
        "credentials-unreadable",
    ),
    "user-without-fs-group": (edited(("    fsGroup: 10001\n", "")), "volume-not-writable"),
    "volume-mounted-beside-and-not-prepared": (
        init_container(
            f"    - name: look\n      image: tools:1\n      command: [ls, /home/agent]\n{MOUNTS}",
            edited(("    fsGroup: 10001\n", "")),
        ),
        "volume-not-writable",
    ),
    "home-mounted-read-only": (
        edited(("mountPath: /home/agent", "mountPath: /home/agent\n          readOnly: true")),
        "home-read-only",
    ),
    "root-file-system-read-only": (
        edited(
            (MOUNTS, "      securityContext:\n        readOnlyRootFilesystem: true\n"),
        ),
        "home-read-only",
    ),
    "root-file-system-read-only-and-no-home": (
        edited(
            (HOME, ""),
            (
                "      volumeMounts:",
                "      securityContext: {readOnlyRootFilesystem: true}\n      volumeMounts:",
            ),
            ("mountPath: /home/agent", "mountPath: /tmp/work"),
        ),
        "home-read-only",
    ),
    "root-file-system-and-volume-read-only": (
        edited(
            (HOME, ""),
            (
                "      volumeMounts:",
                "      securityContext: {readOnlyRootFilesystem: true}\n      volumeMounts:",
            ),
            ("mountPath: /home/agent", "mountPath: /home/agent\n          readOnly: true"),
        ),
        "home-read-only",
    ),
    "login-outside-the-home": (
        edited(("mountPath: /home/agent", "mountPath: /root/.claude")),
        "home-elsewhere",
    ),
    "gate-with-another-claim": (
        init_container(
            GATE.replace("name: home", "name: other"),
            edited(
                (
                    "  volumes:\n",
                    f"  volumes:\n    - name: other\n{CLAIM}".replace("slot-home", "x"),
                )
            ),
        ),
        "gate-sees-another-home",
    ),
    "gate-without-the-volume": (
        init_container(
            f"    - name: gate\n      image: slot-image:ci\n      command: {COMMAND}\n      env:\n{AGENT}{HOME}"
        ),
        "gate-sees-another-home",
    ),
    "gate-with-another-image": (
        init_container(
            f"    - name: gate\n      image: tools:1\n      command: {COMMAND}\n      env:\n{AGENT}{HOME}{MOUNTS}"
        ),
        "gate-other-image",
    ),
    "gate-that-changes-the-code": (
        init_container(
            "    - name: gate\n      image: slot-image:ci\n"
            "      command: [sh, -c, '/opt/probe || exit 1']\n"
            f"      env:\n{AGENT}{HOME}{MOUNTS}"
        ),
        "exit-code-changed",
    ),
    "probe-on-an-init-container": (
        init_container(
            f"    - name: gate\n      image: slot-image:ci\n      env:\n{AGENT}{HOME}{MOUNTS}{PROBE}",
            edited((PROBE, "")),
        ),
        "probe-on-init-container",
    ),
    "key-twice": (
        edited(
            (
                "        timeoutSeconds: 20\n",
                "        timeoutSeconds: 1\n        timeoutSeconds: 20\n",
            )
        ),
        "key-twice",
    ),
    "probe-starts-again-and-again": (
        edited((PROBE, f"      command: {COMMAND}\n")),
        "probe-restarts",
    ),
}
JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: login-check
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: probe
          image: slot-image:ci
          env:
            - {name: AGENT_MODE, value: smoke-test}
            - {name: WOVED_TASK_AGENT, value: codex}
"""
POLICY = """\
  podFailurePolicy:
    rules:
      - action: FailJob
        onExitCodes: {operator: In, values: [65, 66]}
"""
WITH_POLICY = edited(("  backoffLimit: 0\n", f"  backoffLimit: 0\n{POLICY}"), text=JOB)
STARTUP = """\
          startupProbe:
            exec: {command: [/opt/probe]}
            timeoutSeconds: 15
"""
WRONG |= {
    "job-without-restart-policy": (
        edited(("      restartPolicy: Never\n", ""), text=JOB),
        "restart-policy-refused",
    ),
    "job-on-failure": (edited(("Never", "OnFailure"), text=JOB), "job-loses-code"),
    "job-with-a-deadline": (
        edited(
            ("  backoffLimit: 0\n", "  backoffLimit: 0\n  activeDeadlineSeconds: 10\n"), text=JOB
        ),
        "deadline-too-short",
    ),
    "policy-and-no-probe": (
        edited(("smoke-test", "worker"), text=WITH_POLICY),
        "nothing-runs-the-probe",
    ),
    "pod-with-a-deadline": (
        edited(
            (PROBE, f"      command: {COMMAND}\n"),
            ("  initContainers: []\n", "  restartPolicy: Never\n  activeDeadlineSeconds: 14\n"),
        ),
        "deadline-too-short",
    ),
    "policy-on-failure": (
        edited(
            ("Never", "OnFailure"),
            ("smoke-test", "worker"),
            ("          env:\n", f"{STARTUP}          env:\n"),
            ("65, 66", "1"),
            text=WITH_POLICY,
        ),
        "policy-needs-never",
    ),
    "code-that-nobody-keeps": (
        edited(
            ("smoke-test", "worker"),
            ("          env:\n", f"{STARTUP}          env:\n"),
            text=WITH_POLICY,
        ),
        "code-not-kept",
    ),
}


@pytest.mark.parametrize("vice", WRONG)
def test_a_vice_is_found_by_its_rule_alone(vice: str) -> None:
    text, rule = WRONG[vice]
    found = checked(text)

    assert rules(found) == {rule}, [str(finding) for finding in found.findings]
    finding = found.findings[0]
    assert text.splitlines()[finding.line - 1].strip(), "it points at a line with nothing in it"
    assert finding.path
    assert finding.message
    assert finding.way_out


def of_container(more: str, *edits: tuple[str, str]) -> str:
    return edited((PROBE, f"{PROBE}{more}"), *edits)


#: Manifests that are right in a way that is not the usual one.
UNUSUAL = {
    "limit-exactly": edited(("timeoutSeconds: 20", "timeoutSeconds: 15")),
    "null-is-left-out": edited(
        ("failureThreshold: 30", "failureThreshold: 30\n        successThreshold: null")
    ),
    "whole-number-with-a-point": edited(("timeoutSeconds: 20", "timeoutSeconds: 20.0")),
    "delay-gives-room": edited(
        ("periodSeconds: 10", "initialDelaySeconds: 60"),
        ("failureThreshold: 30", "failureThreshold: 2"),
    ),
    "exec-in-a-shell": command("[sh, -c, 'exec /opt/probe']"),
    "exec-and-or": command("[sh, -c, 'exec /opt/probe || true']"),
    "timeout-around-it": command("[timeout, --kill-after=2, '18', /opt/probe]"),
    "timeout-without-limit": command("[timeout, '0', /opt/probe]"),
    "timeout-at-the-limit": command("[timeout, '15', /opt/probe]"),
    "operators-as-arguments": command('[/opt/probe, --separator, "|", --skip, "&", ">"]').replace(
        ', "&"', ', "<"'
    ),
    "timeout-around-something-else-by-any-name": command(
        "[sh, -c, 'timeout 5 curl -s localhost; timeout 3 /opt/warm-up; exec /opt/check-login']"
    ),
    "timeout-around-something-else": command("[sh, -c, 'timeout 5 /opt/warm-up; exec /opt/probe']"),
    "login-shell": edited((AGENT, ""), (COMMAND, "[bash, -lc, 'exec /opt/probe']")),
    "variable-of-a-variable": command("[sh, -c, 'WOVED_TASK_AGENT=$NAME exec /opt/probe']"),
    "numbers-filled-in-later": edited(
        ("periodSeconds: 10", 'periodSeconds: "${PERIOD}"'),
        ("failureThreshold: 30", "failureThreshold: 1"),
    ),
    "count-filled-in-later": edited(("failureThreshold: 30", 'failureThreshold: "${COUNT}"')),
    "delay-filled-in-later": edited(
        ("periodSeconds: 10", 'initialDelaySeconds: "${DELAY}"'),
        ("failureThreshold: 30", "failureThreshold: 1"),
    ),
    "restart-policy-filled-in-later": edited(
        ("  initContainers: []\n", '  restartPolicy: "${POLICY}"\n')
    ),
    "env-around-it": command("[env, WOVED_TASK_AGENT=codex, /opt/probe]"),
    "env-in-the-command-alone": edited(
        (AGENT, ""), (COMMAND, "[env, WOVED_TASK_AGENT=claude, /opt/probe]")
    ),
    "set-by-the-shell": edited(
        (AGENT, ""), (COMMAND, "[sh, -c, 'WOVED_TASK_AGENT=claude exec /opt/probe']")
    ),
    "exported-by-the-shell": edited(
        (AGENT, ""), (COMMAND, "[sh, -c, 'export WOVED_TASK_AGENT=claude; exec /opt/probe']")
    ),
    "read-by-the-shell": edited(
        (AGENT, ""), (COMMAND, "[sh, -c, '. /etc/slot.env && exec /opt/probe']")
    ),
    "through-the-entrypoint": command("[env, AGENT_MODE=smoke-test, /usr/local/bin/entrypoint.sh]"),
    "errexit": command("[sh, -ec, '/opt/probe; echo fine']"),
    "errexit-set": command("[sh, -c, 'set -eu; /opt/probe; echo fine']"),
    "pipefail": command("[bash, -o, pipefail, -c, '/opt/probe | tee /tmp/log']"),
    "pipefail-set": command("[bash, -c, 'set -euo pipefail; /opt/probe 2>&1 | tee /tmp/log']"),
    "code-handed-on": command(
        "[sh, -c, '/opt/probe; code=$?; echo $code >> /tmp/log; exit $code']"
    ),
    "code-tested": command("[sh, -c, '/opt/probe; [ $? -eq 0 ]']"),
    "code-of-the-or": command("[sh, -c, '/opt/probe || code=$?; exit ${code:-0}']"),
    "and-then": command("[sh, -c, '/opt/probe && touch /tmp/started']"),
    "or-exit-1": command("[sh, -c, '/opt/probe || exit 1']"),
    "asked-once": command("[sh, -c, 'test -f /tmp/ok || /opt/probe']"),
    "looked-for-first": command("[sh, -c, 'command -v slot-probe >/dev/null && exec slot-probe']"),
    "in-an-if": command("[sh, -c, 'if /opt/probe; then exit 0; else exit 1; fi']"),
    "words-in-quotes": command("""[sh, -c, "/opt/probe --note 'a || true'"]"""),
    "in-a-comment": command('[sh, -c, "/opt/probe # || true"]'),
    "another-name": command("[/opt/check-login]"),
    "another-name-in-a-shell": command("[sh, -c, 'cd /opt && exec ./check-login']"),
    "an-interpreter": command("[python3, -I, /opt/is_slot_ready.py]"),
    "tini": command("[tini, --, /opt/probe]"),
    "kubelet-expands": command("[$(PROBE)]"),
    "filled-in-later": command('["${PROBE}"]').replace("20\n", "${TIMEOUT}\n"),
    "env-from-a-secret": edited(
        (AGENT, ""),
        ("      startupProbe:", "      envFrom: [{secretRef: {name: slot}}]\n      startupProbe:"),
    ),
    "value-from-a-field": edited(
        ("value: claude", "valueFrom: {fieldRef: {fieldPath: \"metadata.labels['agent']\"}}")
    ),
    "value-from-a-config-map": edited(
        ("value: claude", "valueFrom: {configMapKeyRef: {name: slot, key: agent}}")
    ),
    "value-from-a-template": edited(("value: claude", 'value: "${AGENT}"')),
    "no-home-said": edited((HOME, "")),
    "no-user-said": edited(
        ("    runAsUser: 10001\n    fsGroup: 10001\n", "    runAsNonRoot: false\n")
    ),
    "user-of-the-container": edited(
        ("    runAsUser: 10001\n    fsGroup: 10001\n", "    fsGroup: 2000\n"),
        ("      env:\n", "      securityContext: {runAsUser: 10001}\n      env:\n"),
    ),
    "supplemental-groups": edited(("fsGroup: 10001", "supplementalGroups: [10001]")),
    "prepared-by-root": init_container(
        "    - name: prepare\n      image: tools:1\n      command: [chown, '10001', /home/agent]\n"
        f"      securityContext: {{runAsUser: 0}}\n{MOUNTS}",
        edited(("    fsGroup: 10001\n", "")),
    ),
    "empty-dir-needs-no-group": edited(
        ("    fsGroup: 10001\n", ""), (CLAIM, "      emptyDir: {}\n")
    ),
    "secret-of-everybody": edited(
        ("    fsGroup: 10001\n", ""),
        (
            CLAIM,
            "      emptyDir: {}\n    - name: token\n      secret: {secretName: token, defaultMode: 0400}\n",
        ),
        (MOUNTS, f"{MOUNTS}        - name: token\n          mountPath: /run/secrets/token\n"),
    ),
    "baseline-with-sub-path": edited(
        (
            MOUNTS,
            f"{MOUNTS}        - name: rules\n          mountPath: /home/agent/.claude/CLAUDE.md\n"
            "          subPath: CLAUDE.md\n",
        ),
        ("  volumes:\n", "  volumes:\n    - name: rules\n      configMap:\n        name: rules\n"),
    ),
    "project-with-settings": edited(
        (HOME, ""),
        (
            MOUNTS,
            f"{MOUNTS}        - name: rules\n          mountPath: /workspace/.claude/commands\n",
        ),
        ("  volumes:\n", "  volumes:\n    - name: rules\n      configMap:\n        name: rules\n"),
    ),
    "gate-without-a-scratch-volume": edited(
        (
            MOUNTS,
            f"{MOUNTS}        - name: scratch\n          mountPath: /home/agent/.claude/projects\n",
        ),
        ("  volumes:\n", "  volumes:\n    - name: scratch\n      emptyDir: {}\n"),
        (
            "  initContainers: []\n",
            "  initContainers:\n    - name: gate\n      image: slot-image:ci\n"
            f"      command: {COMMAND}\n      env:\n{AGENT}{HOME}{MOUNTS}",
        ),
    ),
    "file-of-the-node": edited(
        (
            MOUNTS,
            f"{MOUNTS}        - name: login\n          mountPath: /home/agent/.claude/.credentials.json\n",
        ),
        (
            "  volumes:\n",
            "  volumes:\n    - name: login\n      hostPath: {path: /x/y.json, type: File}\n",
        ),
    ),
    "secret-for-something-else": edited(
        (MOUNTS, f"{MOUNTS}        - name: git\n          mountPath: /home/agent/.ssh\n"),
        ("  volumes:\n", "  volumes:\n    - name: git\n      secret:\n        secretName: git\n"),
    ),
    "closed-root-with-an-open-home": of_container(
        "      securityContext:\n        readOnlyRootFilesystem: true\n"
    ),
    "closed-root-and-an-open-volume": edited(
        (HOME, ""),
        (
            "      volumeMounts:",
            "      securityContext: {readOnlyRootFilesystem: true}\n      volumeMounts:",
        ),
    ),
    "closed-root-and-a-directory-for-the-cli": edited(
        (HOME, "        - {name: CLAUDE_CONFIG_DIR, value: /data}\n"),
        ("mountPath: /home/agent", "mountPath: /data"),
        (
            "      startupProbe:",
            "      securityContext: {readOnlyRootFilesystem: true}\n      startupProbe:",
        ),
    ),
    "liveness-of-something-else": of_container(
        "      livenessProbe:\n        httpGet: {path: /healthz, port: 8080}\n"
    ),
    "readiness-drains": of_container(PROBE.replace("startupProbe", "readinessProbe")),
    "readiness-with-two-successes": of_container(
        PROBE.replace("startupProbe", "readinessProbe") + "        successThreshold: 2\n"
    ),
    "readiness-alone": edited(("startupProbe", "readinessProbe")),
    "grace-of-the-probe": edited(
        ("failureThreshold: 30", "failureThreshold: 30\n        terminationGracePeriodSeconds: 60")
    ),
    "gate-in-front": init_container(GATE),
    "gate-before-a-volume-that-is-new": init_container(
        GATE.replace(MOUNTS, ""), edited((CLAIM, "      emptyDir: {}\n"))
    ),
    "gate-with-another-name-for-the-same-claim": init_container(
        GATE.replace("name: home", "name: other"),
        edited(("  volumes:\n", f"  volumes:\n    - name: other\n{CLAIM}")),
    ),
    "blank-in-a-directory": command('["/opt/my probes/slot.py"]'),
    "number-in-quotes": command("[timeout, '20', /opt/conformance/slot.py]"),
    "env-splits": command('[env, -S, "timeout 20 /opt/conformance/slot.py"]'),
    "gate-in-a-shell": init_container(GATE.replace(COMMAND, "[sh, -c, 'exec /opt/probe']")),
    "gate-alone": init_container(GATE, edited((PROBE, ""))),
    "gate-before-a-server": init_container(
        GATE, edited((EXEC, "        httpGet: {path: /healthz, port: 8080}\n"))
    ),
    "gate-before-two-containers": init_container(
        GATE, edited((PROBE, ""), ("  volumes:\n", f"{SECOND}  volumes:\n"))
    ),
    "sidecar": edited(("  volumes:\n", f"{SECOND}  volumes:\n")),
    "native-sidecar": init_container(
        "    - name: proxy\n      image: proxy:1\n      restartPolicy: Always\n"
        "      startupProbe:\n        tcpSocket: {port: 15020}\n"
    ),
    "agent-as-a-native-sidecar": init_container(
        RIGHT[RIGHT.index("    - name: agent") : RIGHT.index("  volumes:")].replace(
            "      image:", "      restartPolicy: Always\n      image:"
        ),
        edited((RIGHT[RIGHT.index("    - name: agent") : RIGHT.index("  volumes:")], SECOND)),
    ),
    "sidecar-with-a-probe-of-its-own": edited(
        (
            "  volumes:\n",
            f"{SECOND}      startupProbe:\n        exec: {{command: [cat, /tmp/up]}}\n  volumes:\n",
        )
    ),
    "two-agents": edited(
        (
            "  volumes:\n",
            f"    - name: second\n      image: slot-image:ci\n      env:\n{AGENT.replace('claude', 'codex')}{PROBE}"
            "  volumes:\n",
        )
    ),
    "anchors": edited(
        (PROBE, PROBE.replace("startupProbe:", "startupProbe: &probe")),
        ("  volumes:\n", "      readinessProbe: *probe\n  volumes:\n"),
    ),
    "json": '{\n\t"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slot"}, "spec": {"containers": [\n'
    '\t{"name": "agent", "env": [{"name": "WOVED_TASK_AGENT", "value": "claude"}],\n'
    '\t "startupProbe": {"exec": {"command": ["/opt/probe"]}, "timeoutSeconds": 15}}]}}',
    "job": JOB,
    "job-with-a-policy": WITH_POLICY,
    "job-with-a-deadline-at-the-limit": edited(
        ("  backoffLimit: 0\n", "  activeDeadlineSeconds: 15\n"), text=JOB
    ),
    "policy-for-all-but": edited(
        ("smoke-test", "worker"),
        ("          env:\n", f"{STARTUP}          env:\n"),
        ("operator: In", "operator: NotIn"),
        text=WITH_POLICY,
    ),
    "cron-job": """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: probe
              command: [/opt/conformance/slot.py]
              env: [{name: WOVED_TASK_AGENT, value: claude}]
""",
    "pod-that-is-a-check": edited(
        (PROBE, f"      command: {COMMAND}\n"),
        ("  initContainers: []\n", "  restartPolicy: Never\n"),
    ),
    "gate-with-a-policy": edited(
        ("smoke-test", "worker"),
        (
            "      containers:\n",
            "      initContainers:\n        - name: gate\n          image: slot-image:ci\n"
            "          command: [/opt/probe]\n"
            "          env: [{name: WOVED_TASK_AGENT, value: claude}]\n      containers:\n",
        ),
        text=WITH_POLICY,
    ),
    "command-filled-in-later": command('"${PROBE}"'),
    "claim-of-a-stateful-set": """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: slots}
spec:
  serviceName: slots
  selector: {matchLabels: {app: slot}}
  template:
    metadata: {labels: {app: slot}}
    spec:
      securityContext: {runAsUser: 10001, fsGroup: 10001}
      containers:
        - name: agent
          env: [{name: WOVED_TASK_AGENT, value: codex}]
          startupProbe: {exec: {command: [/opt/probe]}, timeoutSeconds: 15}
          volumeMounts: [{name: home, mountPath: /home/agent}]
  volumeClaimTemplates:
    - metadata: {name: home}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 1Gi}}
""",
    "windows-line-ends": RIGHT.replace("\n", "\r\n"),
    "status-and-managed-fields": RIGHT + "status: {phase: Running}\n",
}


@pytest.mark.parametrize("manner", UNUSUAL)
def test_an_unusual_manifest_that_is_right_has_no_finding(manner: str) -> None:
    found = checked(UNUSUAL[manner])

    assert [str(finding) for finding in found.findings] == []
    assert any(subject.runs for subject in found.subjects), "nothing was judged"


def workload(kind: str, api: str = "apps/v1") -> str:
    """Return the right Pod as the template of another *kind*."""
    spec = RIGHT.partition("spec:\n")[2].replace("  initContainers: []\n", "")
    more = "  serviceName: slot\n" if kind == "StatefulSet" else ""
    indented = "".join(f"    {line}\n" for line in spec.splitlines())
    return (
        f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: slot}}\nspec:\n{more}"
        "  selector: {matchLabels: {app: slot}}\n"
        f"  template:\n    metadata: {{labels: {{app: slot}}}}\n    spec:\n{indented}"
    )


KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_runs_pods_is_judged(kind: str) -> None:
    assert checked(workload(kind)).findings == []
    assert rules(checked(workload(kind).replace("timeoutSeconds: 20", "timeoutSeconds: 2"))) == {
        "timeout-too-short"
    }


def test_every_document_and_every_item_of_a_list_is_judged() -> None:
    wrong = RIGHT.replace("timeoutSeconds: 20", "timeoutSeconds: 2")
    items = "".join(
        "  - " + text.replace("\n", "\n    ").rstrip(" ")
        for text in (RIGHT, workload("Deployment"), wrong)
    )
    text = f"---\n# nothing\n---\n{wrong}---\nkind: List\napiVersion: v1\nitems:\n{items}"
    found = checked(text)

    assert [(f.rule, f.path.partition(".spec")[0]) for f in found.findings] == [
        (
            "timeout-too-short",
            "spec.containers[0].startupProbe.timeoutSeconds".partition(".spec")[0],
        ),
        ("timeout-too-short", "items[2]"),
    ]
    lines = text.splitlines()
    assert ["timeoutSeconds: 2" in lines[f.line - 1] for f in found.findings] == [True, True]


def test_kinds_of_others_with_the_same_name_have_a_structure_of_their_own() -> None:
    text = workload("StatefulSet", "apps.kruise.io/v1beta1").replace(
        "  template:", "  lifecycle: {}\n  template:"
    )
    found = checked(text)

    assert found.findings == []
    assert found.notes == [
        "StatefulSet slot: the structure of apps.kruise.io/v1beta1 is not known, nor looked at"
    ]


def test_what_is_wrong_in_a_place_that_aliases_share_is_said_once() -> None:
    text = UNUSUAL["anchors"].replace("timeoutSeconds: 20", "timeoutSeconds: 2")
    found = checked(text)

    assert [(f.rule, f.path) for f in found.findings] == [
        ("timeout-too-short", "spec.containers[0].startupProbe.timeoutSeconds")
    ]


def test_a_config_map_beside_it_is_read() -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: slot}\ndata: {%s}\n---\n"
    manifest = edited(
        (AGENT, ""),
        (
            "      startupProbe:",
            "      envFrom: [{configMapRef: {name: slot}}]\n      startupProbe:",
        ),
    )

    assert rules(checked(config % "WOVED_TASK_AGENT: claude" + manifest)) == set()
    assert rules(checked(config % "WOVED_TASK_AGENT: gemini" + manifest)) == {"agent-not-mapped"}
    assert rules(checked(config % "AGENT: claude" + manifest)) == {"input-missing"}
    unseen = checked(manifest)
    assert rules(unseen) == set()
    assert "ConfigMap slot" in unseen.notes[0]


def test_workloads_of_others_are_passed_over() -> None:
    redis = "apiVersion: v1\nkind: Pod\nmetadata: {name: cache}\nspec:\n  containers:\n    - name: redis\n      image: redis:7\n"
    found = checked(f"{redis}---\n{RIGHT}")

    assert found.findings == []
    assert found.notes == ["not an agent's, by all that is seen: Pod cache"]


def test_the_sound_of_a_name_does_not_make_an_agent_of_others() -> None:
    """Programs called probe are everywhere."""
    other = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: cache}\nspec:\n  containers:\n    - name: cache\n      image: redis:7\n"
        "      startupProbe: {exec: {command: [sh, -c, /scripts/probe.sh]}}\n"
    )
    found = checked(f"{other}---\n{RIGHT}")

    assert found.findings == []
    assert found.notes == ["not an agent's, by all that is seen: Pod cache"]
    assert rules(checked(other)) == {"timeout-too-short", "input-missing"}  # there is no other


def test_a_probe_that_the_manager_runs_is_not_presumed_elsewhere() -> None:
    text = edited((COMMAND, "[/opt/up]"), ("        timeoutSeconds: 20\n", ""))

    assert rules(checked(text)) == {"timeout-too-short"}
    assert rules(checked(text, manager_execs=True)) == set()


def test_a_mount_alone_does_not_make_an_agent_of_a_helper() -> None:
    """A backup mounts the same directories, and nobody probes it."""
    mounts = "      volumeMounts:\n        - {name: home, mountPath: /data/.claude}\n"
    helper = f"    - name: backup\n      image: restic:1\n{mounts}"
    unnamed = edited(
        (COMMAND, "[/opt/up]"),
        ("- name: agent", "- name: app"),
        ("slot-image:ci", "app:1"),
        ("mountPath: /home/agent", "mountPath: /home/agent/.claude"),
        (AGENT, ""),
        ("  volumes:\n", f"{helper}  volumes:\n"),
    )
    other = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: copy}}\nspec:\n  containers:\n{helper}"

    found = checked(unnamed, variables={"WOVED_TASK_AGENT": None})
    assert [one.agent.name for one in found.subjects if one.agent is not None] == ["app"]
    assert rules(checked(f"{RIGHT}---\n{other}")) == set()
    [alone] = checked(f"{other}  volumes: [{{name: home, emptyDir: {{}}}}]\n").findings
    assert alone.rule == "nothing-runs-the-probe"
    assert alone.way_out.endswith(
        "where this is not the agent's container, name that with --container"
    )


def test_a_mode_is_told_in_both_ways_and_only_where_it_counts() -> None:
    [found] = checked(secret("defaultMode: 256")).findings
    assert found.message.startswith("the mode is 0400 (256 in decimal), the files are root's")

    for right in (
        secret("defaultMode: 0400\n        items: [{key: a, path: session, mode: 0444}]"),
        secret(
            "items: [{key: a, path: s, mode: 0444}, {key: b, path: t, mode: 0400}]",
            "/.credentials.json\n          subPath: s",
        ),
        secret("defaultMode: 0400", "/.credentials.json\n          subPathExpr: $(NAME)"),
    ):
        assert "credentials-unreadable" not in rules(checked(right))


def test_a_gate_that_is_told_where_to_look_needs_no_home() -> None:
    gate = GATE.replace(MOUNTS, "")
    told = gate.replace(
        AGENT, f"{AGENT}        - {{name: ORCH_CLAUDE_CREDENTIALS_PATH, value: /vault}}\n"
    )
    in_its_command = gate.replace(
        COMMAND, f"[env, ORCH_CLAUDE_CREDENTIALS_PATH=/vault, {COMMAND[1:]}"
    )

    texts = [init_container(text) for text in (gate, told, in_its_command)]
    named = [
        t.replace("name: HOME", "name: AGENT_HOME").replace("slot.py", "preflight.py")
        for t in texts
    ]
    seen = [rules(checked(text, "preflight")) for text in named]

    assert ["gate-sees-another-home" in each for each in seen] == [True, False, False]


def test_a_line_for_a_shell_is_shown_as_one_that_can_be_pasted() -> None:
    for words, way_out in {
        "[/opt/probe, 'a b', '||', exit, '1']": """write ["sh", "-c", "/opt/probe 'a b' || exit 1"]""",
        "[/opt/probe, '$HOME/a b']": r"""write ["sh", "-c", "/opt/probe \"$HOME/a b\""]""",
        "['$HOME/probe']": 'write ["sh", "-c", "$HOME/probe"]',
    }.items():
        [found] = checked(command(words)).findings
        assert (found.rule, found.way_out) == ("no-shell", way_out)


def test_kinds_of_others_that_seem_to_run_pods_are_named() -> None:
    volcano = (
        "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: train}\n"
        "spec: {tasks: [{template: {spec: {containers: [{name: a}]}}}]}\n"
    )
    rollout = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\n"
        "spec: {template: {spec: {containers: [{name: a}]}}}\n"
    )
    found = checked(f"{RIGHT}---\n{volcano}---\n{rollout}")

    assert found.notes == [
        "not looked at, because no kind says where its Pod is: Job train (batch.volcano.sh/v1alpha1)",
        "not looked at, because no kind says where its Pod is: Rollout web (argoproj.io/v1alpha1)",
    ]


def test_a_slot_of_the_image_without_a_probe_is_not_passed_over() -> None:
    other = edited((PROBE, ""), ("  name: slot\n", "  name: other\n"))

    assert rules(checked(f"{RIGHT}---\n{other}")) == {"nothing-runs-the-probe"}


def test_a_pod_in_which_somebody_logs_in_is_no_slot() -> None:
    login = edited(
        (PROBE, ""), (AGENT, f"{AGENT}        - {{name: AGENT_MODE, value: auth-init}}\n")
    )
    found = checked(f"{RIGHT}---\n{login}")

    assert found.findings == []
    assert "AGENT_MODE=auth-init" in found.notes[0]


def test_what_the_image_sets_is_believed() -> None:
    text = edited((AGENT, ""))

    assert rules(checked(text, variables={"WOVED_TASK_AGENT": None})) == set()
    assert rules(checked(text, variables={"WOVED_TASK_AGENT": "ghost"})) == {"agent-not-mapped"}


def test_where_else_a_variable_is_set_is_said() -> None:
    text, _ = WRONG["variable-on-another-container"]
    [finding] = checked(text).findings

    assert "it is set on container log, and this is another one" in finding.message
    assert "--image" in finding.way_out
    [with_image] = checked(text, image=image()).findings
    assert "--image" not in with_image.way_out


def test_a_source_that_is_not_seen_is_no_note_where_the_variable_is_set() -> None:
    more = (
        "      startupProbe:",
        "      envFrom: [{secretRef: {name: slot}}]\n      startupProbe:",
    )

    assert checked(edited(more)).notes == []
    assert len(checked(edited((AGENT, ""), more)).notes) == 1


def test_a_manager_that_runs_the_probe_itself_needs_none_in_the_manifest() -> None:
    assert rules(checked(edited((PROBE, "")), manager_execs=True)) == set()


def test_a_named_probe_is_looked_for() -> None:
    text = command("[/opt/other]")

    assert rules(checked(text)) == set()
    assert rules(checked(text, probe=("/opt/check",))) == {"nothing-runs-the-probe"}
    assert rules(checked(command("[sh, -c, '/opt/check a || :']"), probe=("check", "a"))) == {
        "exit-code-swallowed"
    }
    assert rules(checked(command('["/opt/my probe"]'), probe=("/opt/my probe",))) == set()


def test_a_stand_in_is_no_named_probe() -> None:
    assert rules(checked(command("[cat, /tmp/up]"), probe=("/opt/check",))) == {
        "nothing-runs-the-probe"
    }


def test_of_containers_that_nothing_tells_apart_the_one_with_a_startup_probe_is_the_agents() -> (
    None
):
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n    - name: one\n    - name: two\n"
        "      startupProbe: {exec: {command: [/opt/up]}, timeoutSeconds: 15}\n"
    )
    [subject] = checked(text, variables={"WOVED_TASK_AGENT": None}).subjects

    assert subject.agent is not None
    assert subject.agent.name == "two"


def test_the_image_that_is_compared_tells_which_container_is_the_agents() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n    - {name: one, image: x:1}\n"
        "    - {name: two, image: slot-image:ci}\n"
    )
    found = checked(text, image=image(), image_reference="slot-image:ci")

    assert [f.container for f in found.findings] == ["two"]


def test_containers_of_another_image_are_not_compared() -> None:
    has = image(programs={"/opt/conformance/slot.py": False}, reference="other:1")
    text = edited(("  volumes:\n", "    - {name: log, image: 'other:1'}\n  volumes:\n"))

    assert rules(checked(text, image=has, image_reference="other:1")) == set()
    nobody = checked(RIGHT, image=has, image_reference="other:1")
    assert rules(nobody) == {"program-not-in-image"}
    assert nobody.notes == ["no container has image other:1: all are compared with it"]


def test_findings_about_a_main_program_point_at_its_command() -> None:
    text = JOB.replace(
        "          env:\n",
        "          args: [/opt/probe || true]\n          command: [sh, -c]\n          env:\n",
    )
    by_args = JOB.replace(
        "          env:\n", "          args: [timeout, '3', /opt/probe]\n          env:\n"
    )
    paths = [f.path.rpartition(".")[2] for each in (text, by_args) for f in checked(each).findings]

    alone = JOB.replace(
        "          env:\n", "          command: [timeout, '3', /opt/probe]\n          env:\n"
    )
    paths += [f.path.rpartition(".")[2] for f in checked(alone).findings]

    assert paths == ["args", "args", "command"]


def test_a_gate_may_be_known_by_its_mode_alone() -> None:
    gate = "    - name: gate\n      image: slot-image:ci\n      env:\n        - {name: AGENT_MODE, value: smoke-test}\n"
    text = init_container(f"{gate}{AGENT}{HOME}{MOUNTS}", edited((PROBE, "")))
    found = checked(text)

    assert found.findings == []
    assert [run.is_gate for run in found.subjects[0].runs] == [True]


def test_a_contract_with_another_limit_and_other_inputs() -> None:
    text = edited((AGENT, "        - {name: AGENT_HOME, value: /home/agent}\n"))

    assert rules(checked(text, "preflight")) == set()
    assert rules(checked(edited((AGENT, "")), "preflight")) == {"input-missing"}


def test_a_contract_that_follows_no_links_refuses_a_mounted_secret() -> None:
    text, _ = WRONG["secret-over-claude"]

    assert rules(checked(text, links_are_login=False)) == {"links-are-no-login"}


def test_where_links_are_no_login_single_files_and_other_agents_are_left_alone() -> None:
    text, _ = WRONG["secret-over-claude"]
    file = text.replace(
        "mountPath: /home/agent/.claude\n",
        "mountPath: /home/agent/.claude/.credentials.json\n          subPath: .credentials.json\n",
    )
    codex = text.replace("/home/agent/.claude", "/home/agent/.codex").replace(
        "value: claude", "value: codex"
    )
    claim = text.replace(
        "      secret:\n        secretName: login\n",
        "      persistentVolumeClaim: {claimName: login}\n",
    )
    claim = claim.replace(
        "/home/agent/.claude\n", "/home/agent/.claude\n          readOnly: true\n"
    )

    for other in (file, codex, claim):
        assert rules(checked(other, links_are_login=False)) == {"credentials-read-only"}


@pytest.mark.parametrize(
    "edit",
    [
        (HOME, ""),
        ("value: claude", "valueFrom: {fieldRef: {fieldPath: \"metadata.labels['agent']\"}}"),
        ("        items: [{key: a, path: review.md}]\n", ""),
    ],
    ids=["home", "agent", "names"],
)
def test_what_is_not_known_of_a_mounted_config_is_advice(edit: tuple[str, str]) -> None:
    text, _ = WRONG["config-is-a-login"]

    assert rules(checked(edited(edit, text=text))) == {"config-may-count-as-login"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("settings.json", set()),
        ("mcp.json", {"config-counts-as-login"}),
        ("skills/CLAUDE.md", {"config-may-count-as-login"}),
        ("skills/review.md", {"config-counts-as-login"}),
    ],
)
def test_a_single_file_of_a_config_counts_by_its_name_and_place(
    path: str, expected: set[str]
) -> None:
    text = UNUSUAL["baseline-with-sub-path"].replace(".claude/CLAUDE.md", f".claude/{path}")

    assert rules(checked(text)) == expected


def test_a_mounted_config_is_nothing_to_contracts_that_look_into_files_and_to_other_agents() -> (
    None
):
    text, _ = WRONG["config-is-a-login"]

    assert rules(checked(text, "slot-strict")) == set()
    assert rules(checked(text.replace("value: claude", "value: codex"))) == set()


def test_a_login_that_a_variable_points_to_may_lie_anywhere() -> None:
    elsewhere = ("mountPath: /home/agent", "mountPath: /root/.claude")
    text = edited(elsewhere, (AGENT, "        - {name: AGENT_HOME, value: /home/agent}\n"))
    override = (HOME, f"{HOME}        - {{name: ORCH_CLAUDE_CREDENTIALS_PATH, value: /x}}\n")

    assert rules(checked(text, "preflight")) == {"home-elsewhere"}
    assert rules(checked(edited(override, text=text), "preflight")) == set()
    path = (HOME, f"{HOME}        - {{name: SEED, value: /root/.claude/login}}\n")
    assert rules(checked(edited(elsewhere, path))) == set()


def test_bundled_contracts_take_a_mounted_secret_for_a_login() -> None:
    """Its files are links, and what they lead to lies beside them: a walk finds it."""
    scenario = bundled_catalogue().scenarios["claude/kubernetes-secret-mount"]

    assert [scenario.expected(CONTRACTS[n]) for n in ("slot", "slot-strict", "preflight")] == [
        ("ready",)
    ] * 3


def image(**more: object) -> ImageView:
    values: dict[str, object] = {
        "reference": "slot-image:ci",
        "environment": {"PATH": "/bin"},
        "entrypoint": ("/entrypoint.sh",),
        "user": "10001",
        "uid": 10001,
        "home": "/home/agent",
    }
    return ImageView(**{**values, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "has", "expected"),
    [
        (RIGHT, {}, set()),
        (RIGHT, {"programs": {"/opt/conformance/slot.py": True}}, set()),
        (RIGHT, {"programs": {"/opt/conformance/slot.py": False}}, {"program-not-in-image"}),
        (
            edited(("mountPath: /home/agent", "mountPath: /opt/conformance")),
            {"programs": {"/opt/conformance/slot.py": False}},
            set(),
        ),
        (command("[/entrypoint.sh]"), {}, {"entrypoint-in-wrong-mode"}),
        (command("[/entrypoint.sh]"), {"environment": {"AGENT_MODE": "smoke-test"}}, set()),
        (command("[env, AGENT_MODE=smoke-test, /entrypoint.sh]"), {}, set()),
        (command("[/entrypoint.sh, /opt/probe]"), {}, set()),
        (
            edited(
                (COMMAND, "[/entrypoint.sh]"),
                (HOME, f"{HOME}        - {{name: AGENT_MODE, value: worker}}\n"),
            ),
            {"environment": {"AGENT_MODE": "smoke-test"}},
            {"entrypoint-in-wrong-mode"},
        ),
        (
            edited(
                (COMMAND, "[/entrypoint.sh]"),
                (
                    HOME,
                    f"{HOME}        - {{name: AGENT_MODE, valueFrom: {{secretKeyRef: {{name: a, key: b}}}}}}\n",
                ),
            ),
            {},
            set(),
        ),
        (
            command("[python3, -I, /opt/ready.py]"),
            {"programs": {"/opt/ready.py": False}},
            {"program-not-in-image"},
        ),
        (
            command("[sh, -c, 'exec /opt/probe']"),
            {"programs": {"/opt/probe": False}},
            {"program-not-in-image"},
        ),
        (
            edited(
                (
                    "mountPath: /home/agent",
                    "mountPath: /opt/conformance/slot.py\n          subPath: slot.py",
                )
            ),
            {"programs": {"/opt/conformance/slot.py": False}},
            set(),
        ),
        (edited((AGENT, "")), {"environment": {"WOVED_TASK_AGENT": "claude"}}, set()),
        (edited((AGENT, "")), {}, {"input-missing"}),
        (edited(("runAsUser: 10001", "runAsNonRoot: true")), {}, set()),
        (
            edited(("runAsUser: 10001", "runAsNonRoot: true")),
            {"user": "agent"},
            {"user-not-a-number"},
        ),
        (
            edited(("runAsUser: 10001", "runAsNonRoot: true")),
            {"user": "", "uid": 0},
            {"root-refused"},
        ),
        (
            edited(
                (HOME, ""),
                ("mountPath: /home/agent", "mountPath: /root/.claude"),
                ("    runAsUser: 10001\n", ""),
            ),
            {},
            {"home-elsewhere"},
        ),
        (
            edited(("    runAsUser: 10001\n    fsGroup: 10001\n", "    runAsGroup: 0\n")),
            {},
            {"volume-not-writable"},
        ),
    ],
)
def test_an_image_is_compared(text: str, has: dict[str, object], expected: Iterable[str]) -> None:
    assert rules(checked(text, image=image(**has))) == expected


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ("[/opt/probe, /etc/x]", ["/opt/probe"]),
        ("[probe]", []),
        ("[/usr/bin/python3, -I, /opt/probe.py, /etc/x]", ["/usr/bin/python3", "/opt/probe.py"]),
        ("[python3, probe.py]", []),
        ("[timeout, '20', sh, -c, 'test -x /a && exec /opt/probe']", ["/opt/probe"]),
    ],
)
def test_programs_of_commands_are_looked_for(words: str, paths: list[str]) -> None:
    assert programs_of(checked(command(words)).subjects) == paths


def test_every_rule_is_broken_by_a_test() -> None:
    """So none is there that cannot be seen, and none says what no test has seen."""
    with_image = {
        "program-not-in-image",
        "entrypoint-in-wrong-mode",
        "user-not-a-number",
        "root-refused",
    }

    assert {rule for _, rule in WRONG.values()} | with_image | {"links-are-no-login"} == {*RULES}


def test_without_the_validator_the_rules_find_the_same() -> None:
    found = {
        vice: rules(check(read_documents("pod.yaml", text), request(), None))
        for vice, (text, _) in WRONG.items()
    }

    assert found == {vice: {rule} - {"structure"} for vice, (_, rule) in WRONG.items()}

"""Manifests of a slot: a right one, edits of it with one thing wrong each, and unusual ones that are right."""

from __future__ import annotations

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


def secret(source: str, mounted: str = "") -> str:
    """Return a manifest whose login is a Secret, for a user who is not root."""
    return edited(
        ("    fsGroup: 10001\n", ""),
        (CLAIM, f"      secret:\n        secretName: login\n        {source}\n"),
        ("mountPath: /home/agent", f"mountPath: /home/agent/.claude{mounted}"),
    )


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
    "no-such-volume-in-the-gate": (
        init_container(f"{GATE}        - name: tools\n          mountPath: /tools\n"),
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
    "projected-secret-nobody-may-read": (
        edited(
            ("    fsGroup: 10001\n", ""),
            (
                CLAIM,
                "      projected: {sources: [{secret: {name: login}}], defaultMode: 0400}\n",
            ),
            ("mountPath: /home/agent", "mountPath: /home/agent/.claude"),
        ),
        "credentials-unreadable",
    ),
    "projected-item-nobody-may-read": (
        edited(
            ("    fsGroup: 10001\n", ""),
            (
                CLAIM,
                "      projected:\n        sources:\n"
                "          - configMap: {name: settings}\n"
                "          - secret: {name: login, items: [{key: a, path: b, mode: 0400}]}\n",
            ),
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
    "claim-read-only": (
        edited((CLAIM, f"{CLAIM}        readOnly: true\n")),
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
    "root-where-that-is-refused": (
        edited(("    runAsUser: 10001\n", "    runAsUser: 0\n    runAsNonRoot: true\n")),
        "root-refused",
    ),
    "probe-starts-again-by-itself": (
        edited(
            ("  initContainers: []\n", "  restartPolicy: Never\n"),
            (PROBE, f"      restartPolicy: Always\n      command: {COMMAND}\n"),
        ),
        "probe-restarts",
    ),
    "probe-starts-again-and-again": (
        edited((PROBE, f"      command: {COMMAND}\n")),
        "probe-restarts",
    ),
}


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
    "copied-by-an-init-container": init_container(
        "    - name: install-probe\n      image: slot-probe:1\n"
        "      command: [cp, /slot-probe, /tools/slot-probe]\n"
    ),
    "copied-by-a-line-of-an-init-container": init_container(
        "    - name: install-probe\n      image: slot-probe:1\n"
        "      command: [sh, -c, 'cp /slot-probe /tools/ && chmod 755 /tools/slot-probe']\n"
    ),
    "prepared-and-cleaned-up-by-names-of-a-probe": command(
        "[sh, -c, 'mkdir -p /tmp/probe; rm -f /tmp/probe.log; exec /opt/check-login']"
    ),
    "line-for-the-shell-of-an-entrypoint": command(
        "[/entrypoint.sh, sh, -c, 'exec \"$HOME/bin/slot-probe\"']"
    ),
    "line-for-the-shell-of-another-user": command("[su, agent, -c, '$HOME/bin/slot-probe']"),
    "line-for-fish": command("[fish, -c, 'exec $HOME/bin/slot-probe']"),
    "line-for-python": command(
        '[python3, -c, \'import os; os.execv(os.path.expandvars("$HOME/bin/probe"), ["probe"])\']'
    ),
    "args-that-the-entrypoint-reads": edited(
        ("  initContainers: []\n", "  restartPolicy: Never\n"),
        (PROBE, "      args: ['exec $HOME/bin/probe --quiet']\n"),
    ),
    "args-after-the-entrypoint": edited(
        ("  initContainers: []\n", "  restartPolicy: Never\n"),
        (PROBE, "      args: [-c, 'cd $HOME && exec bin/probe']\n"),
    ),
    "container-that-is-not-restarted": edited(
        (PROBE, f"      restartPolicy: Never\n      command: {COMMAND}\n")
    ),
    "sidecar-that-sounds-like-a-probe": edited(
        (COMMAND, "[/opt/check-login]"),
        ("  volumes:\n", f"{SECOND}      command: [/livenessprobe]\n  volumes:\n"),
    ),
    "projected-token": edited(
        ("    fsGroup: 10001\n", ""),
        (
            CLAIM,
            "      projected:\n        defaultMode: 0400\n"
            "        sources: [{serviceAccountToken: {path: token}}]\n",
        ),
        ("mountPath: /home/agent", "mountPath: /home/agent/work"),
    ),
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

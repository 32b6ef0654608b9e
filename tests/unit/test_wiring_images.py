"""Manifests beside an image, and whose container is the agent's."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from manifests import (
    AGENT,
    COMMAND,
    HOME,
    JOB,
    MOUNTS,
    PROBE,
    RIGHT,
    command,
    edited,
    init_container,
)
from support_wiring import checked, image, rules

from conformance.wiring.compared import programs_of


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

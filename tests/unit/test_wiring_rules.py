"""Which containers are judged, and what about them: the rules of wiring, one by one."""

from __future__ import annotations

import pytest
from manifests import (
    AGENT,
    COMMAND,
    GATE,
    MOUNTS,
    PROBE,
    RIGHT,
    UNUSUAL,
    WRONG,
    command,
    edited,
    init_container,
    secret,
)
from support_wiring import checked, image, rules


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

"""The command wiring: what it reads, what it says, and how it ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from support_cli import call

WRONG = """\
apiVersion: v1
kind: Pod
metadata: {name: slot}
spec:
  containers:
    - name: agent
      image: slot-image:ci
      env: [{name: WOVED_TASK_AGENT, value: claude}]
      startupProbe:
        exec: {command: [/opt/probe]}
"""
RIGHT = f"{WRONG}        timeoutSeconds: 15\n"
ADVICE = f"{RIGHT}        failureThreshold: 2\n"
WITHOUT_POD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: slot}\n"
TEMPLATE = "kind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in (
        ("wrong", WRONG),
        ("right", RIGHT),
        ("advice", ADVICE),
        ("none", WITHOUT_POD),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["right.yaml"], 0),
        (["right.yaml", "none.yaml"], 0),
        (["advice.yaml"], 0),
        (["advice.yaml", "--strict"], 1),
        (["wrong.yaml"], 1),
        (["right.yaml", "wrong.yaml"], 1),
        (["."], 1),
        (["none.yaml"], 2),
        (["right.yaml", "missing.yaml"], 2),
        ([], 2),
    ],
)
def test_the_exit_status_says_how_it_ended(directory: Path, words: list[str], status: int) -> None:
    assert call(directory, "wiring", *words).returncode == status


def test_a_finding_has_all_that_it_takes_to_mend_it(directory: Path) -> None:
    done = call(directory, "wiring", "wrong.yaml")

    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == [
        "  Pod slot, agent's container agent: the probe runs as startupProbe",
        "",
        "MUST timeout-too-short wrong.yaml:9",
        "  in         Pod slot, container agent: spec.containers[0].startupProbe",
        "  finding    timeoutSeconds is 1 where nothing is said: an answer that takes longer is a failure, and contract slot gives the probe 15 seconds",
        "  way out    set timeoutSeconds: 15",
        "",
        "1 must, 0 should: NOT RIGHT",
    ]


def test_a_line_for_each_finding(directory: Path) -> None:
    done = call(directory, "wiring", "wrong.yaml", "--output-format", "concise")

    assert done.stdout.splitlines()[0].startswith(
        "wrong.yaml:9: must timeout-too-short: timeoutSeconds is 1"
    )


def test_annotations_of_github(directory: Path) -> None:
    (directory / "a,b:100%.yaml").write_text(WRONG)
    done = call(directory, "wiring", "a,b:100%.yaml", "advice.yaml", "--output-format", "github")
    error, warning, *_ = done.stdout.splitlines()

    assert error.startswith(
        "::error file=a%2Cb%3A100%25.yaml,line=9,title=timeout-too-short::timeoutSeconds is 1"
    )
    assert warning.startswith(
        "::warning file=advice.yaml,line=12,title=little-room::failureThreshold 2"
    )


def test_the_json_report_has_everything(directory: Path) -> None:
    done = call(directory, "wiring", "wrong.yaml", "--json", "-", "--answers", "0@2")
    report = json.loads(done.stdout)

    assert (report["schema_version"], report["right"], report["counts"]) == (
        1,
        False,
        {"must": 1, "should": 0},
    )
    [finding] = report["findings"]
    assert {
        k: finding[k] for k in ("rule", "level", "file", "line", "path", "workload", "container")
    } == {
        "rule": "timeout-too-short",
        "level": "must",
        "file": "wrong.yaml",
        "line": 9,
        "path": "spec.containers[0].startupProbe",
        "workload": "Pod slot",
        "container": "agent",
    }
    [run] = report["subjects"][0]["runs"]
    assert (run["where"], run["command"], run["line"]) == ("startupProbe", ["/opt/probe"], 9)
    [timeline] = report["timelines"]
    assert (timeline["outcome"], [a["until"] for a in timeline["attempts"]]) == (
        "killed",
        [1.0, 11.0, 21.0],
    )
    assert "NOT RIGHT" in done.stderr


def test_the_report_says_what_could_not_be_read(directory: Path) -> None:
    (directory / "template.yaml").write_text(TEMPLATE)
    done = call(directory, "wiring", "right.yaml", "template.yaml", "--json", "report.json")
    report = json.loads((directory / "report.json").read_text())

    assert done.returncode == 2
    assert report["right"] is False
    assert report["errors"] == [done.stderr.strip().removeprefix("probe-conformance: ")]
    assert done.stdout.endswith("NOT ALL COULD BE READ\n")


def test_standard_input_is_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WRONG.encode())))
    done = call(directory, "wiring", "-", "--output-format", "concise")

    assert done.returncode == 1
    assert done.stdout.startswith("<stdin>:9: must timeout-too-short")


def test_a_directory_is_read_with_all_below_it(tmp_path: Path) -> None:
    for name in ("a/b/one.yml", "a/two.json", "three.yaml", ".git/four.yaml", "a/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(WRONG)
    (tmp_path / "a/two.json").write_text('{"a": 1}')
    done = call(tmp_path, "wiring", ".", "three.yaml", "--output-format", "concise")

    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]] == [
        "./a/b/one.yml",
        "./three.yaml",
    ]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "pod.yaml",
            TEMPLATE,
            "pod.yaml: line 3: a template, and no YAML yet: name: {{ .Release.Name }}; render it first",
        ),
        (
            "pod.yaml",
            "a: b\n{% if x %}\n",
            "pod.yaml: line 2: a template, and no YAML yet: {% if x %}; render it first",
        ),
        (
            "Chart.yaml",
            "name: slot\n",
            "chart holds a Chart.yaml, so its files are no manifests yet; try helm template chart |",
        ),
        (
            "kustomization.yaml",
            "",
            "chart holds a kustomization.yaml, so its files are no manifests yet; try kubectl kustomize chart |",
        ),
        ("pod.yaml", "a: [", "pod.yaml: line 1: is not YAML: "),
        ("pod.yaml", "\x00", "pod.yaml: is not YAML: "),
        ("pod.yaml", b"\xff\xfe\x00", "pod.yaml: is no UTF-8 text: byte 0"),
        ("pod.yaml", "just a text\n", "there is no Pod in what was read"),
        ("pod.yaml", "", "there is no Pod in what was read"),
        (
            "pod.txt",
            "",
            "no manifest in directory chart; name files that end in .yaml, .yml, .json",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: str | bytes, line: str
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / name).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    done = call(tmp_path, "wiring", "chart")

    assert (done.returncode, done.stdout) == (2, "")
    [said] = done.stderr.splitlines()
    assert line in said


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["right.yaml", "--container", "x"], "no container 'x'; there are agent"),
        (["right.yaml", "--probe", ""], "--probe is empty"),
        (["right.yaml", "--probe", "'"], "--probe cannot be split: no closing quotation"),
        (["right.yaml", "--env", "=x"], "--env '=x' names no variable"),
        (["right.yaml", "--answers", "soon"], "--answers 'soon' is no behaviour of a probe"),
        (["right.yaml", "--kubernetes", "1.2"], "--kubernetes '1.2' is no known version"),
        (
            ["right.yaml", "--contract", "gate"],
            "contract 'gate' is not about a program that a Pod starts with",
        ),
        (
            ["right.yaml", "--contract", "run-result"],
            "contract 'run-result' is not about a program",
        ),
        (["right.yaml", "--image", "No Image"], "'No Image' is not an image reference"),
        (["right.yaml", "--json", "none/x.json"], "no directory"),
    ],
)
def test_a_wrong_request_is_one_line(directory: Path, words: list[str], line: str) -> None:
    done = call(directory, "wiring", *words)

    assert (done.returncode, done.stdout) == (2, "")
    [said] = done.stderr.splitlines()
    assert line in said


def test_where_nothing_tells_which_container_is_the_agents_it_has_to_be_said(
    tmp_path: Path,
) -> None:
    (tmp_path / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: one}, {name: two}]}\n"
    )

    assert "name one with --container: one, two" in call(tmp_path, "wiring", "pod.yaml").stderr
    done = call(tmp_path, "wiring", "pod.yaml", "--container", "two", "--output-format", "concise")
    assert "must nothing-runs-the-probe" in done.stdout


def test_without_the_validator_a_note_says_what_was_not_looked_at(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    misspelt = WRONG.replace(
        "startupProbe:", "startupProbe:\n        timeoutSeconds: 20\n        perioodSeconds: 10"
    )
    (directory / "misspelt.yaml").write_text(misspelt)
    seen = call(directory, "wiring", "misspelt.yaml", "--output-format", "concise")
    for module in [name for name in sys.modules if name.startswith("kubernetes_validate")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "kubernetes_validate", None)
    unseen = call(directory, "wiring", "misspelt.yaml", "--output-format", "concise")
    asked = call(directory, "wiring", "misspelt.yaml", "--kubernetes", "1.34")

    assert (seen.returncode, unseen.returncode, asked.returncode) == (1, 0, 2)
    assert (
        "knows no 'perioodSeconds' in spec.containers[0].startupProbe; is periodSeconds meant?"
        in seen.stdout
    )
    assert "note: the structure was not looked at" in unseen.stdout
    assert "probe-conformance[kubernetes]" in asked.stderr


def test_the_example_is_printed_alone(tmp_path: Path) -> None:
    done = call(tmp_path, "wiring", "--example", "--contract", "preflight")
    (tmp_path / "pod.yaml").write_text(done.stdout)

    assert "name: AGENT_HOME" in done.stdout
    assert (
        call(tmp_path, "wiring", "pod.yaml", "--contract", "preflight", "--strict").returncode == 0
    )


def test_the_limit_of_a_contract_of_ones_own_counts(directory: Path) -> None:
    (directory / "quick.toml").write_text(
        'name = "quick"\nversion = "1"\nsummary = "x"\nextends = "slot"\n[limits]\nseconds = 1\n'
    )
    done = call(directory, "wiring", "wrong.yaml", "--contract", "quick.toml")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("contract", "rules"),
    [
        ("slot", ["config-counts-as-login"]),
        ("slot-strict", []),
        ("walks-no-links.toml", ["links-are-no-login"]),
    ],
)
def test_what_counts_as_a_login_is_up_to_the_contract(
    directory: Path, contract: str, rules: list[str]
) -> None:
    """The catalogue is asked: scenarios about mounts say what a contract makes of them."""
    (directory / "walks-no-links.toml").write_text(
        'name = "walks-no-links"\nversion = "1"\nsummary = "x"\nextends = "slot"\n'
        '[rules.claude-login]\nexpect = ["creds-missing"]\n'
    )
    (directory / "pod.yaml").write_text(
        RIGHT.replace("claude}]", "claude}, {name: HOME, value: /h}]")
        + "      volumeMounts: [{name: s, mountPath: /h/.claude}, {name: c, mountPath: /h/.claude/skills}]\n"
        "  volumes: [{name: s, secret: {secretName: s}}, {name: c, configMap: {name: c, items: [{key: a, path: b}]}}]\n"
    )
    done = call(directory, "wiring", "pod.yaml", "--contract", contract, "--json", "report.json")
    found = json.loads((directory / "report.json").read_text())["findings"]

    assert [f["rule"] for f in found if f["level"] == "must"] == rules, done.stdout


def test_usual_timelines_are_about_the_contract(directory: Path) -> None:
    lines = call(directory, "wiring", "right.yaml", "--timeline").stdout.splitlines()

    assert [line for line in lines if line.startswith("  A probe that")] == [
        "  A probe that answers after 12 s (--answers 0@12):",
        "  A probe that says 65 twice, then 0 (--answers 65x2,0):",
        "  A probe that hangs (--answers hang):",
    ]

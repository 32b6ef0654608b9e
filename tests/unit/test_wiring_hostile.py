"""Whatever stands in a manifest, the rules end with findings or with one line: never with a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.catalogue import contracts
from conformance.errors import ConformanceError
from conformance.wiring.check import check
from conformance.wiring.commands import Recogniser, read_command
from conformance.wiring.example import example
from conformance.wiring.report import FORMATS, WiringReport
from conformance.wiring.runs import Request
from conformance.wiring.shell import read_line
from conformance.wiring.structure import open_structure
from conformance.wiring.timeline import read_behaviour, timelines, usual_behaviours
from conformance.wiring.tree import read_documents

SLOT = contracts.load("slot")
RIGHT = yaml.safe_load(example(SLOT))
STRUCTURE = open_structure()
REQUEST = Request(
    contract=SLOT, recogniser=Recogniser((), (), SLOT.reference), any_file_is_login=True
)
#: Keys that mean something, so that junk gets to where it is looked at.
KEYS = [
    *("kind", "apiVersion", "metadata", "name", "spec", "template", "items", "containers", "data"),
    *(
        "initContainers",
        "restartPolicy",
        "startupProbe",
        "livenessProbe",
        "exec",
        "command",
        "args",
    ),
    *("timeoutSeconds", "env", "envFrom", "value", "valueFrom", "volumeMounts", "mountPath"),
    *("subPath", "volumes", "secret", "configMap", "defaultMode", "securityContext", "runAsUser"),
    *("podFailurePolicy", "rules", "onExitCodes", "values", "lifecycle", "postStart", "<<"),
]
WORDS = [
    *("Pod", "Deployment", "Job", "CronJob", "List", "ConfigMap", "Secret", "Always", "Never"),
    *(
        "/home/agent/.claude",
        "sh",
        "-c",
        "/opt/probe || true",
        "env",
        "timeout",
        "",
        "${X}",
        "claude",
    ),
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=3),
    ),
    max_leaves=12,
)


def places(tree: Any, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the keys of every place in *tree*."""
    found = [keys]
    parts = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, inner in parts:
        found += places(inner, (*keys, key))
    return found


def replaced(tree: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """Return *tree* with *value* at *keys*."""
    if not keys:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[keys[0]] = replaced(copy[keys[0]], keys[1:], value)
    return copy


def judge(text: str) -> None:
    """Read *text*, apply all rules, and write all reports; what a user gets wrong may be refused."""
    lines: list[str] = []
    try:
        found = check(read_documents("pod.yaml", text), REQUEST, STRUCTURE)
    except ConformanceError as e:
        lines = e.lines()
    if lines:
        assert "\n" not in "".join(lines)
        return
    shown, notes = timelines(found.subjects, usual_behaviours(SLOT))
    report = WiringReport(REQUEST, found, shown, notes, strict=False)
    json.dumps(report.document())
    for form in FORMATS:
        report.show(Sink(), form, complete=True)  # type: ignore[arg-type]
    for finding in found.findings:
        assert 1 <= finding.line <= text.count("\n") + 1


class Sink:
    """Takes what a report writes, which has to be safe for a terminal."""

    def write(self, text: str) -> int:
        assert all(c.isprintable() or c == "\n" for c in text)
        return len(text)

    def flush(self) -> None:
        pass


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(places(RIGHT)), trees), min_size=1, max_size=3))
def test_a_manifest_with_anything_anywhere_is_judged(
    edits: list[tuple[tuple[Any, ...], Any]],
) -> None:
    tree = RIGHT
    for keys, value in edits:
        if keys in places(tree):
            tree = replaced(tree, keys, value)
    judge(yaml.safe_dump(tree, allow_unicode=True))


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.text(), trees.map(yaml.safe_dump)))
def test_any_text_is_judged_or_refused(text: str) -> None:
    judge(text)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_manifest_that_was_cut_and_mixed_is_judged_or_refused(data: st.DataObject) -> None:
    text = example(SLOT)
    start, end = sorted(
        (data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text))))
    )
    junk = data.draw(
        st.one_of(st.text(max_size=5), st.sampled_from(["{{ x }}", "&a", "*a", "<<: ", "- ", "\t"]))
    )
    judge(text[:start] + junk + text[end:])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*WORDS, "exec", "-", "--", "!", "A=b", "busybox"]), st.text(max_size=4)
        )
    )
)
def test_any_command_comes_to_something(words: list[str]) -> None:
    command = read_command(words)

    assert command.words == tuple(words)
    assert list(command.parts())
    REQUEST.recogniser.runs_probe(command)
    REQUEST.recogniser.presumed(command)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "probe",
                "true",
                "exit",
                "0",
                "||",
                "&&",
                ";",
                "|",
                "&",
                "\n",
                "!",
                "'",
                '"',
                "\\",
                "$?",
                "(",
                "#",
                ">",
                "2>&1",
            ]
        )
    ).map(" ".join)
)
def test_any_line_has_a_fate(text: str) -> None:
    fate, _ = read_line(text).fate(lambda words: "probe" in words)

    assert fate in ("kept", "changed", "may-be-lost", "lost")


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="0123456789hangero@x,. -", max_size=12))
def test_any_behaviour_is_read_or_refused(text: str) -> None:
    try:
        behaviour = read_behaviour(text)
    except ConformanceError:
        return
    assert behaviour.answers


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "[" * 500 + "]" * 500,
        "&a [*a]",
        "&a {b: *a}",
        "a: &a [x, x]\n"
        + "".join(f"b{n}: &a{n} [*a{n - 1 or ''}, *a{n - 1 or ''}]\n" for n in range(1, 40)),
        "\x00",
        "\ud800",
        "? [a]\n: b\n",
        "%YAML 9.9\n---\na",
        "!!python/object:os.system {}",
        "a: !!int x\nb: !!float y\nc: !!null z\nd: !!timestamp w\ne: !!binary '*'\nf: =\ng: 1:30\nh: !x y",
        "<<: 5\n<<: [1, {a: b}]\n",
        "kind: Pod\nspec: {containers: [{name: slot, startupProbe: {timeoutSeconds: .nan, periodSeconds: .inf}}]}",
        "kind: Pod\nspec: {containers: [{name: slot, startupProbe: {exec: {command: [x]}, periodSeconds: 99999999999999999999}}]}",
    ],
)
def test_what_readers_of_yaml_fall_over_is_no_trouble(text: str) -> None:
    judge(text)

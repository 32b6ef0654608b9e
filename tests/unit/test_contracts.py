"""The contracts: what the bundled ones say, and reading one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories import refusal

from conformance.bundled import fixtures_dir
from conformance.catalogue import contracts
from conformance.errors import ConformanceError, FileError, UsageError
from conformance.model.contract import Contract, Inputs, Limits

#: The bundled contracts, as messages list them.
NAMES = ", ".join(contracts.bundled())
#: The bundled reference probes, likewise.
PROBES = ", ".join(sorted(path.name for path in (fixtures_dir() / "probes").glob("*.[ps][yh]")))
CLI_WRITES = (".claude.json", ".claude/backups/**", ".codex/tmp/**")

OWN = """
name = "own"
version = "7"
summary = "A contract of one's own"
agents = ["claude"]
[inputs]
home = "SLOT_HOME"
[verdicts.good]
code = 0
meaning = "yes"
action = "go"
[verdicts.bad]
code = 3
meaning = "no"
action = "stop"
"""
CHILD = 'name = "child"\nversion = "1"\nsummary = "slot, but"\nextends = "slot"\n'


def own(directory: Path, text: str) -> Contract:
    """Return the contract in a file with this text."""
    (directory / "own.toml").write_text(text)
    return contracts.load("own.toml", base=directory)


def contract_refusal(directory: Path, text: str) -> str:
    """Return what is wrong with a contract file with this text, without the name of the file."""
    file, _, rest = refusal(FileError, own, directory, text).partition("own.toml: ")
    assert file == f"{directory}/"
    return rest


# What the bundled contracts say: their numbers are shared with the programs that act on them.


def test_the_bundled_contracts() -> None:
    assert {
        "cli-status",
        "preflight",
        "run-result",
        "slot",
        "slot-strict",
    } <= contracts.bundled().keys()


def test_slot_gives_each_verdict_a_code_of_its_own() -> None:
    slot = contracts.load("slot")
    assert {v.name: (v.codes[0], v.action) for v in slot.verdicts} == {
        "ready": (0, "accept"),
        "cli-broken": (64, "escalate"),
        "creds-missing": (65, "slot-init"),
        "creds-invalid": (66, "re-auth"),
    }


def test_slot_reads_home_and_agent_from_the_environment() -> None:
    slot = contracts.load("slot")
    assert slot.inputs == Inputs(home="HOME", agent="WOVED_TASK_AGENT", opposite_home="")
    assert slot.agents == ("claude", "codex")


def test_preflight_passes_or_fails() -> None:
    preflight = contracts.load("preflight")
    assert {v.name: v.codes[0] for v in preflight.verdicts} == {
        "ready": 0,
        "cli-broken": 1,
        "creds-missing": 1,
        "creds-invalid": 1,
    }


def test_preflight_must_not_look_at_home() -> None:
    preflight = contracts.load("preflight")
    assert preflight.inputs == Inputs(
        home="AGENT_HOME",
        override="ORCH_CLAUDE_CREDENTIALS_PATH",
        skew="ORCH_AUTH_EXPIRY_SKEW_SECONDS",
        switch="ORCH_PREFLIGHT_CHECK_AUTH",
        opposite_home="HOME",
    )
    assert preflight.agents == ("claude",)


@pytest.mark.parametrize("name", ["slot", "preflight"])
def test_a_bundled_contract_gives_a_probe_fifteen_seconds_and_lets_the_cli_write_its_own_files(
    name: str,
) -> None:
    contract = contracts.load(name)
    assert (contract.name, contract.lineage, contract.version) == (name, (name,), "1")
    assert contract.limits.seconds == 15
    assert contract.allowed_writes == CLI_WRITES
    assert contract.reference == f"{name}.py"


@pytest.mark.parametrize(
    ("name", "code", "verdicts"),
    [
        ("slot", 0, ("ready",)),
        ("slot", 64, ("cli-broken",)),
        ("slot", 65, ("creds-missing",)),
        ("slot", 66, ("creds-invalid",)),
        ("slot", 1, ()),
        ("slot", 67, ()),
        ("preflight", 0, ("ready",)),
        ("preflight", 1, ("cli-broken", "creds-missing", "creds-invalid")),
        ("preflight", 64, ()),
    ],
)
def test_a_code_means_the_verdicts_that_have_it(
    name: str, code: int, verdicts: tuple[str, ...]
) -> None:
    """Exit code 1 is no verdict of slot: a probe that crashed has not judged."""
    assert contracts.load(name).verdicts_of(code) == verdicts


def test_a_verdict_is_found_by_its_name() -> None:
    slot = contracts.load("slot")
    assert slot.verdict("creds-missing").codes == (65,)
    assert slot.codes(["creds-invalid"]) == {66}
    with pytest.raises(KeyError):
        slot.verdict("nothing")


# One's own.


def test_a_contract_of_ones_own_needs_no_parent(tmp_path: Path) -> None:
    contract = own(tmp_path, OWN)
    assert (contract.name, contract.version, contract.lineage) == ("own", "7", ("own",))
    assert {v.name: v.codes[0] for v in contract.verdicts} == {"good": 0, "bad": 3}
    assert contract.inputs == Inputs(home="SLOT_HOME")
    assert (contract.limits.seconds, contract.allowed_writes, contract.reference) == (15, (), "")


def test_a_contract_that_extends_another_takes_what_it_leaves_out(tmp_path: Path) -> None:
    child, slot = own(tmp_path, CHILD), contracts.load("slot")
    assert (child.verdicts, child.inputs, child.agents) == (slot.verdicts, slot.inputs, slot.agents)
    assert (child.limits, child.allowed_writes) == (slot.limits, slot.allowed_writes)
    assert child.lineage == ("child", "slot")


def test_a_contract_that_extends_another_has_its_own_name_and_no_reference_probe(
    tmp_path: Path,
) -> None:
    """The probe of the parent answers by the parent's rules."""
    child = own(tmp_path, CHILD)
    assert (child.name, child.version, child.summary, child.reference) == (
        "child",
        "1",
        "slot, but",
        "",
    )


def test_a_contract_that_extends_another_may_say_anything_anew(tmp_path: Path) -> None:
    child = own(
        tmp_path,
        OWN.replace('name = "own"', 'name = "own"\nextends = "slot"\nallowed_writes = []')
        + "[limits]\nseconds = 2\n",
    )
    assert {v.name for v in child.verdicts} == {v.name for v in contracts.load("slot").verdicts} | {
        "good",
        "bad",
    }
    assert child.inputs == Inputs(home="SLOT_HOME", agent="WOVED_TASK_AGENT")
    assert child.agents == ("claude",)
    assert (child.limits, child.allowed_writes) == (Limits(seconds=2, cli_seconds=4 / 3), ())


def test_bundled_contracts_may_extend_each_other_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the nearest of them says counts."""
    head = 'name = "{0}"\nversion = "1"\nsummary = "x"\nextends = "{1}"\n'
    (tmp_path / "a.toml").write_text(head.format("a", "b") + 'agents = ["codex"]\n')
    (tmp_path / "b.toml").write_text(
        head.format("b", "c") + 'allowed_writes = ["x"]\n[limits]\nseconds = 2\n'
    )
    (tmp_path / "c.toml").write_text(OWN.replace('"own"', '"c"'))
    monkeypatch.setattr(contracts, "contracts_dir", lambda: tmp_path)
    found = contracts.bundled()
    assert {name: contract.lineage for name, contract in found.items()} == {
        "a": ("a", "b", "c"),
        "b": ("b", "c"),
        "c": ("c",),
    }
    assert [found[name].agents for name in "abc"] == [("codex",), ("claude",), ("claude",)]
    assert [found[name].limits.seconds for name in "abc"] == [2, 2, 15]
    assert [found[name].allowed_writes for name in "abc"] == [("x",), ("x",), ()]
    assert found["a"].verdicts == found["c"].verdicts


def test_a_contract_may_use_a_bundled_reference_probe(tmp_path: Path) -> None:
    assert own(tmp_path, CHILD.replace("\n", '\nreference = "slot.py"\n', 1)).reference == "slot.py"


def test_a_contract_is_named_by_an_absolute_file_as_well(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(OWN)
    assert contracts.load(str(tmp_path / "x.toml")).name == "own"


def test_a_relative_file_counts_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.toml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    assert contracts.load("x.toml").name == "own"


@pytest.mark.parametrize("name", ["slots", "Slot", "", "x" * 300, "."])
def test_an_unknown_contract_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        contracts.load(name, base=tmp_path)
    assert caught.value.lines() == [
        f"no contract '{name}'; bundled: {NAMES}; or name a contract file"
    ]


@pytest.mark.parametrize("name", ["nowhere/x.toml", "x.toml", "nowhere/x"])
def test_what_looks_like_a_path_is_called_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        contracts.load(name, base=tmp_path)
    assert caught.value.lines() == [
        f"no contract file {name}; correct the path, or name a bundled contract"
    ]


VERDICT = '[verdicts.more]\ncode = 5\nmeaning = "m"\naction = "a"\n'
VARIABLES = ["", "A B", "A=B", "1A", "Ä", "HOME\\n", "A\\u0000"]

BAD = {
    "empty": ("", "name: missing"),
    "not-toml": ("x", "is not TOML"),
    "unknown-key": (
        OWN.replace("version", "versions"),
        "versions: unknown key; allowed here: name, version, summary, extends, agents",
    ),
    "scenario": ('summary = "x"\norigin = "x"\n', "origin: unknown key"),
    "no-version": (OWN.replace('version = "7"\n', ""), "version: missing"),
    "no-summary": (OWN.replace('summary = "A contract of one\'s own"\n', ""), "summary: missing"),
    "version-number": (OWN.replace('"7"', "7"), "version: expected string, got int"),
    "name-empty": (OWN.replace('"own"', '""'), "name: expected string matching regex"),
    "name-capital": (OWN.replace('"own"', '"Own"'), "name: expected string matching regex"),
    "name-blank": (OWN.replace('"own"', '"my own"'), "name: expected string matching regex"),
    "name-line-break": (OWN.replace('"own"', '"own\\n"'), "name: expected string matching regex"),
    "name-digit": (OWN.replace('"own"', '"1own"'), "name: expected string matching regex"),
    "name-bundled": (
        OWN.replace('"own"', '"slot"'),
        "name: 'slot' is the name of a bundled contract; choose another name",
    ),
    "extends-unknown": (
        CHILD.replace('"slot"', '"slots"'),
        f"extends: no contract 'slots'; known: {NAMES}",
    ),
    "extends-itself": (
        CHILD.replace('"slot"', '"child"'),
        f"extends: no contract 'child'; known: {NAMES}",
    ),
    "no-agents": (
        OWN.replace('agents = ["claude"]', ""),
        "agents: missing; only a contract that extends another may leave it out",
    ),
    "no-inputs": (
        OWN.replace('[inputs]\nhome = "SLOT_HOME"\n', ""),
        "inputs: missing; only a contract that extends another",
    ),
    "no-verdicts": (
        OWN.partition("[verdicts")[0],
        "verdicts: missing; only a contract that extends another",
    ),
    "agents-empty": (OWN.replace('["claude"]', "[]"), "agents: expected a list of length >= 1"),
    "agents-of-nothing": (
        OWN.replace('["claude"]', '[""]'),
        "agents.0: expected string of length >= 1",
    ),
    "agents-text": (OWN.replace('["claude"]', '"claude"'), "agents: expected a list, got string"),
    "inputs-empty": (OWN.replace('home = "SLOT_HOME"', ""), "inputs.home: missing"),
    "inputs-unknown": (
        OWN.replace("home = ", "hom = "),
        "inputs.hom: unknown key; allowed here: home, agent, override, skew, switch, switch_on, switch_off, exit_code, log, ttl, mode, token, slot_id, manager_url, init_token, login_timeout, poll, opposite_home",
    ),
    "verdicts-empty": (
        OWN.partition("[verdicts")[0] + "[verdicts]\n",
        "verdicts: all verdicts share one exit code",
    ),
    "verdicts-share-a-code": (
        OWN.replace("code = 3", "code = 0"),
        "verdicts: all verdicts share one exit code; a contract needs at least two answers",
    ),
    "verdict-code-text": (
        OWN.replace("code = 3", 'code = "3"'),
        "verdicts.bad.code: expected int | list, got string",
    ),
    "verdict-code-bool": (
        OWN.replace("code = 3", "code = true"),
        "verdicts.bad.code: expected int | list, got bool",
    ),
    "verdict-no-code": (OWN.replace("code = 3\n", ""), "verdicts.bad.code: missing"),
    "verdict-no-meaning": (OWN.replace('meaning = "no"\n', ""), "verdicts.bad.meaning: missing"),
    "verdict-no-action": (OWN.replace('action = "stop"\n', ""), "verdicts.bad.action: missing"),
    "verdict-unknown-key": (
        OWN.replace("action = ", "act = "),
        "verdicts.good.act: unknown key; allowed here: code, meaning, action",
    ),
    "limits-unknown": (
        OWN + "[limits]\nminutes = 1\n",
        "limits.minutes: unknown key; allowed here: seconds",
    ),
    "limits-text": (
        OWN + '[limits]\nseconds = "15"\n',
        "limits.seconds: expected float, got string",
    ),
    "writes-text": ('allowed_writes = "x"\n' + OWN, "allowed_writes: expected a list, got string"),
    "writes-empty": (
        'allowed_writes = [""]\n' + OWN,
        "allowed_writes.0: expected string of length >= 1",
    ),
    "reference-unknown": (
        'reference = "nothing.py"\n' + OWN,
        f"reference: no reference probe 'nothing.py'; bundled: {PROBES}",
    ),
    "reference-outside": (
        'reference = "../probes/slot.py"\n' + OWN,
        "reference: no reference probe '../probes/slot.py'",
    ),
    "reference-absolute": (
        'reference = "/bin/true"\n' + OWN,
        "reference: no reference probe '/bin/true'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_contract_file_is_one_line(name: str, tmp_path: Path) -> None:
    text, words = BAD[name]
    assert contract_refusal(tmp_path, text).startswith(words)


@pytest.mark.parametrize("variable", VARIABLES)
def test_an_input_is_the_name_of_a_variable(variable: str, tmp_path: Path) -> None:
    assert contract_refusal(tmp_path, OWN.replace("SLOT_HOME", variable)).startswith(
        "inputs.home: expected string matching regex"
    )


@pytest.mark.parametrize("variable", VARIABLES[1:])
@pytest.mark.parametrize("key", ["agent", "opposite_home"])
def test_an_input_that_may_be_left_out_is_the_name_of_a_variable_or_nothing(
    key: str, variable: str, tmp_path: Path
) -> None:
    line = '{} = "{}"\n[verdicts.good]'
    words = f"inputs.{key}: expected string matching regex"
    assert contract_refusal(
        tmp_path, OWN.replace("[verdicts.good]", line.format(key, variable))
    ).startswith(words)
    contract = own(tmp_path, OWN.replace("[verdicts.good]", line.format(key, "")))
    assert contract.inputs == Inputs(home="SLOT_HOME")


def test_a_contract_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_bytes(b"#" * (1024**2 + 1))
    with pytest.raises(ConformanceError, match=r"big\.toml: is larger than 1048576 bytes"):
        contracts.load("big.toml", base=tmp_path)


@pytest.mark.parametrize(
    ("inside", "outside", "words"),
    [
        ("code = 255", "code = 256", "verdicts.bad.code: expected int <= 255"),
        ("code = 1", "code = -1", "verdicts.bad.code: expected int >= 0"),
    ],
)
def test_an_exit_code_is_what_a_process_can_end_with(
    inside: str, outside: str, words: str, tmp_path: Path
) -> None:
    code = int(inside.removeprefix("code = "))
    assert own(tmp_path, OWN.replace("code = 3", inside)).codes(["bad"]) == {code}
    assert contract_refusal(tmp_path, OWN.replace("code = 3", outside)) == words


def test_the_lowest_exit_code_is_zero(tmp_path: Path) -> None:
    assert own(tmp_path, OWN).codes(["good"]) == {0}


@pytest.mark.parametrize("seconds", ["0.001", "1", "100", "100.0"])
def test_a_probe_may_have_up_to_a_hundred_seconds(seconds: str, tmp_path: Path) -> None:
    assert own(tmp_path, f"{OWN}[limits]\nseconds = {seconds}\n").limits.seconds == float(seconds)


@pytest.mark.parametrize("seconds", ["0", "-1", "100.1", "inf", "nan"])
def test_a_probe_may_not_have_no_time_or_more_than_a_hundred_seconds(
    seconds: str, tmp_path: Path
) -> None:
    assert contract_refusal(tmp_path, f"{OWN}[limits]\nseconds = {seconds}\n").startswith(
        "limits.seconds: expected float "
    )


@pytest.mark.parametrize(
    "state", ["hangs", "hangs-ignoring-sigterm", "hangs-in-a-child", "leaves-a-child"]
)
def test_a_cli_that_hangs_or_its_child_does_so_for_longer_than_any_probe_may_have(
    state: str,
) -> None:
    stub = (fixtures_dir() / "cli" / f"{state}.toml").read_text(encoding="utf-8")
    asleep = [int(seconds) for seconds in re.findall(r"sleep (\d+)", stub)]
    assert min(asleep, default=0) > 100

"""Entrypoints in contract and scenario files, in words, and in what stubs record."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import refusals, scenario

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.drivers.recorder import calls_in, recorder_nodes
from conformance.errors import ConformanceError, FileError
from conformance.model.contract import Contract
from conformance.model.entrypoint import Entrypoint, Mode
from conformance.model.scenario import Scenario
from conformance.model.start import Again, Start
from conformance.model.start_wording import describe_start, entrypoint_facts

HEAD = 'name = "own"\nversion = "1"\nsummary = "s"\nextends = "entrypoint"\n'
CASE = """
summary = "Some rule"
origin = "contract entrypoint: something"
agent = "codex"
control = "entrypoint/mode/unknown-codex"
inputs.mode = "worker"
rules.entrypoint = "worker"
[expect]
entrypoint = "started"
"""


def own(tmp_path: Path, text: str) -> Contract:
    (tmp_path / "own.toml").write_text(HEAD + text, encoding="utf-8")
    return contracts.load("own.toml", base=tmp_path)


def table(contract: Contract) -> Entrypoint:
    assert contract.entrypoint is not None
    return contract.entrypoint


def test_a_contract_that_extends_one_changes_modes_one_by_one(tmp_path: Path) -> None:
    contract = own(
        tmp_path,
        """
[entrypoint.modes]
interactive = "off"
worker = { value = "run", withholds = ["GH_TOKEN"] }
smoke-test = { program = ["/opt/probe"] }
serve = { program = { claude = ["serve", "{agent}"], codex = ["serve"] } }
[entrypoint.seeds]
claude = { variable = "CLAUDE_SESSION", file = ".claude/.credentials.json" }
codex = "off"
""",
    )

    found = table(contract)
    assert found.modes.keys() == {"worker", "auth-init", "smoke-test", "serve"}
    assert found.modes["worker"] == Mode(
        value="run", program={"": ("{agent}", "{args}")}, withholds=("GH_TOKEN",)
    )
    # Another program has no need of what stood in for it without arguments.
    assert found.modes["smoke-test"].bare == ()
    assert found.modes["smoke-test"].reaches == ("WOVED_TASK_AGENT",)
    assert list(found.seeds) == ["claude"]
    assert contract.input_value("mode", "worker") == "run"
    assert contract.input_value("mode", "anything") == "anything"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[entrypoint.modes]\nnone = "off"',
            "entrypoint.modes.none: there is no 'none' to turn off",
        ),
        (
            '[entrypoint.seeds]\nclaude = "off"',
            "entrypoint.seeds.claude: there is no 'claude' to turn off",
        ),
        (
            '[entrypoint.modes.worker]\nvalue = "smoke-test"',
            "entrypoint.modes.worker.value: another mode is also called 'smoke-test'",
        ),
        (
            '[entrypoint.modes.serve]\nbare = ["x"]',
            "entrypoint.modes.serve: says no program for claude; name it under 'program', with its arguments",
        ),
        (
            '[entrypoint.modes.serve]\nprogram = ["bash", "-l"]',
            "entrypoint.modes.serve.program: no stub can stand in the place of 'bash', which entrypoints need themselves; write '{shell}' for a shell",
        ),
        (
            '[entrypoint.modes.serve]\nprogram = ["bin/x"]',
            "entrypoint.modes.serve.program: 'bin/x' is neither a name nor an absolute path",
        ),
        (
            '[entrypoint.seeds.codex]\nvariable = "A"\nfile = "/etc/x"',
            "entrypoint.seeds.codex.file: '/etc/x' is no path below the HOME",
        ),
        (
            '[entrypoint.seeds.ghost]\nvariable = "A"\nfile = "x"',
            "entrypoint.seeds.ghost: unknown agent 'ghost'; allowed: claude, codex",
        ),
        ('[verdicts]\nrefused = "off"', "verdicts: all verdicts share one exit code"),
        ("[verdicts.started]\ncode = 1", "verdicts: all verdicts share one exit code"),
        ("[verdicts.started]\ncode = [0, 1]", "verdicts: started and refused share an exit code"),
        (
            '[verdicts.late]\ncode = 9\nmeaning = "m"\naction = "a"',
            "verdicts: an entrypoint has the verdicts started and refused, and no other",
        ),
        ("in_steps = true", "entrypoint: an entrypoint is started, and gives no answer of its own"),
        (
            '[inputs]\nmode = ""',
            "inputs.mode: missing; name the variable that says what is to be started",
        ),
    ],
)
def test_a_table_that_is_wrong_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        own(tmp_path, text + "\n")
    assert str(caught.value).split(".toml: ", 1)[1].startswith(message)


def loaded(
    tmp_path: Path, text: str, contract: Contract | None = None, *, case: str = CASE
) -> Scenario:
    (tmp_path / "own").mkdir(exist_ok=True)
    (tmp_path / "own/case.toml").write_text(case + text, encoding="utf-8")
    return load_catalogue([tmp_path], contract=contract).get("own/case")


def test_a_scenario_says_how_an_entrypoint_starts(tmp_path: Path) -> None:
    one = loaded(
        tmp_path,
        """
[start]
arguments = ["a b"]
code = 3
session = "s"
again = { mode = "smoke-test", home = { files = { "x" = "y" }, remove = ["z"] } }
""",
    )

    start = one.start
    assert start is not None
    assert start.again is not None
    assert (start.arguments, start.code, start.session) == (("a b",), 3, "s")
    assert (start.again.mode, [e.path for e in start.again.changed], start.again.removed) == (
        "smoke-test",
        ["x"],
        ("z",),
    )
    assert describe_start(start) == {
        "arguments": "arguments 'a b'",
        "ending": "what is started ends with exit code 3",
        "session": "a session 's'",
        "again": "a second start in mode 'smoke-test', after + x; - z",
    }
    assert describe_start(None) == describe_start(Start()) == {}
    assert describe_start(Start(again=Again())) == {"again": "a second start"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "expect.entrypoint: 'entrypoint' is about starts; add a table [start]; it may be empty",
        ),
        (
            'slot = "ready"\n[start]',
            "start: 'slot' is about no entrypoint; leave out 'start', or 'slot'",
        ),
        (
            '[start]\narguments = ["\\u0000"]',
            "start.arguments.0: a NUL cannot be handed to a program",
        ),
        ('[start]\nsession = "{nonsense}"', "start.session: unknown placeholder {nonsense}"),
        ("[start]\ncode = 126", "start.code: expected int <= 125"),
        (
            '[start]\narguments = ["--version"]\ncode = 3',
            "start.code: a program that is asked '--version' does not end with 3; leave it out, or the argument",
        ),
        *(
            (
                f"[start.again.home]\nremove = ['x', '{path}']",
                f"start.again.home.remove.1: '{path}' is no path below the HOME; write it like .codex/auth.json",
            )
            for path in ("/etc/x", "../x", "a/../../x", ".")
        ),
        (
            '[start.again.home.files]\n"x" = { symlink = "y" }',
            "start.again.home: 'x' is neither; write files, or directories",
        ),
    ],
)
def test_a_start_that_is_wrong_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    [line] = refusals(ConformanceError, lambda: loaded(tmp_path, text + "\n"))
    assert line.split(".toml: ", 1)[1].startswith(message)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            'arguments = ["bash", "-lc", "x"]',
            "start.arguments.0: no stub can stand in the place of 'bash', which entrypoints need "
            "themselves; name another program",
        ),
        (
            'arguments = ["bin/work"]',
            "start.arguments.0: 'bin/work' is neither a name nor an absolute path",
        ),
        ('arguments = ["work", "help"]\ncode = 3', "start.code: a program that is asked 'help'"),
    ],
)
def test_arguments_are_looked_at_as_a_command_where_the_mode_makes_them_one(
    start: str, message: str, tmp_path: Path
) -> None:
    words = f"[start]\n{start}\n"
    case = CASE.replace('inputs.mode = "worker"\n', "inputs.mode = 'interactive'\n")
    [line] = refusals(ConformanceError, lambda: loaded(tmp_path, words, case=case))

    assert line.split(".toml: ", 1)[1].startswith(message)
    assert loaded(tmp_path, words).start is not None  # a CLI gets them, whatever they are


def test_a_scenario_is_part_of_contracts_that_have_its_mode_and_its_seed(tmp_path: Path) -> None:
    whole = contracts.load("entrypoint")
    without = own(
        tmp_path, '[entrypoint.modes]\nworker = "off"\n[entrypoint.seeds]\ncodex = "off"\n'
    )
    known = load_catalogue(contract=without)

    def parts(contract: Contract) -> set[str]:
        return {one.id for one in known.in_contract(contract)}

    gone = parts(whole) - parts(without)
    assert {"entrypoint/starts/worker-codex", "entrypoint/session/empty"} <= gone
    assert "entrypoint/session/interactive" in gone  # it is about the seed
    assert "entrypoint/mode/unknown" in parts(without)
    assert parts(contracts.load("slot")).isdisjoint(parts(whole))


def test_under_a_policy_a_refusal_becomes_a_start(tmp_path: Path) -> None:
    contract = own(tmp_path, '[rules]\ntoken-unset = { expect = ["started", "refused"] }\n')
    known = load_catalogue(contract=contract)

    assert known.get("entrypoint/needs/token-unset-worker").expected(contract) == (
        "started",
        "refused",
    )
    assert known.get("entrypoint/needs/agent-unset-worker").expected(contract) == ("refused",)


def test_a_probe_has_no_part_in_a_contract_of_entrypoints() -> None:
    one = scenario(expect={"entrypoint": ("started",)})

    assert one.expected(contracts.load("entrypoint")) == ()


def test_what_a_contract_says_of_an_entrypoint_is_told_side_by_side(tmp_path: Path) -> None:
    contract = own(tmp_path, '[entrypoint.modes.worker]\nvalue = "run"\nwithholds = ["GH_TOKEN"]\n')

    facts = dict(entrypoint_facts(contract.entrypoint))
    assert facts["mode worker"] == "{agent} {args} (run); withholds GH_TOKEN".replace(
        "{agent} {args}", "'{agent}' '{args}'"
    )
    assert facts["seed of codex"] == ".codex/auth.json from CODEX_SESSION"
    assert list(entrypoint_facts(None)) == []


def test_calls_are_read_in_order_and_those_before_can_be_left_out() -> None:
    files = {
        "10/arguments": b"/top/cli/.shell\0",
        "2/arguments": b"/top/cli/claude\0--print\0two words\0\0",
        "2/environment": b"HOME=/h\0A=b=c\0EMPTY=\0",
        "2/directory": b"/work\n",
        "2/program": b"",
        "3/arguments": b"/top/cli/chmod\x000600\0f\0",
        "3/seed": b"-rw-r--r-- 1 0 0 5 Jan 1 00:00 f\n",
        "3/tool": b"",
        "4/arguments": b"",
        "5/arguments": b"/opt/probe/slot.py\0",
        "5/seed": b"-rw------- 1 0 0 5 Jan 1 00:00 f\n",
    }

    calls = calls_in(files, "/top/cli")

    assert [one.argv for one in calls] == [
        ("claude", "--print", "two words", ""),
        ("chmod", "0600", "f"),
        ("",),
        ("/opt/probe/slot.py",),
        ("{shell}",),
    ]
    assert calls[0].environment == {"HOME": "/h", "A": "b=c", "EMPTY": ""}
    assert calls[0].directory == "/work"
    assert [one.helper for one in calls] == [False, True, False, False, False]
    assert [one.open_seed for one in calls] == ["", "-rw-r--r--", "", "", ""]
    assert calls_in(files, "/top/cli", after=4) == calls[4:]


def test_there_is_a_stub_for_every_name_one_for_a_shell_and_one_for_chmod() -> None:
    nodes = recorder_nodes(["claude"], records="/a b", seed="", directory="/cli", code=9)

    assert [node.path for node in nodes] == [b".shell", b"claude", b"chmod"]
    text = b"".join(nodes[1].chunks()).decode()
    assert "mkdir '/a b'/$n" in text
    assert "--version | -v | -V | version) [ -x /cli/.state/claude ]" in text
    assert "--help | help) exit 0 ;;" in text
    assert text.endswith("exit 9\n")

"""The catalogue: ids, selection, controls, layers, contracts that extend others, and what is bundled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import LAYERS, bundled_catalogue, entry, refusal, text_of

from conformance import bundled as places
from conformance.bundled import contracts_dir, data_root, fixtures_dir, scenarios_dir
from conformance.catalogue import contracts
from conformance.catalogue.agents import cli_states
from conformance.catalogue.catalogue import Catalogue, load_catalogue, root_of, select
from conformance.catalogue.layers import layer
from conformance.catalogue.scenarios import read_scenarios
from conformance.errors import ConformanceError, FileError, ManyErrors, UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import ContainerNeeds, Scenario

SLOT = contracts.load("slot")
PREFLIGHT = contracts.load("preflight")

TOP = 'summary = "x"\norigin = "x"\nagent = "claude"\n'
READY = TOP + 'control = "claude/baseline-only"\n[expect]\nslot = "ready"\n'


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return bundled_catalogue()


def write(directory: Path, **files: str) -> Path:
    """Write scenario files into *directory*: ``a__b`` is the file ``a/b.toml``. Return the directory."""
    for name, text in files.items():
        path = directory / f"{name.replace('__', '/').replace('_', '-')}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def own_contract(
    directory: Path, text: str = 'name = "own"\nversion = "1"\nsummary = "x"\nextends = "slot"\n'
) -> Contract:
    (directory / "own.contract").write_text(text)
    return contracts.load("own.contract", base=directory)


def lines(*directories: Path, contract: Contract | None = None) -> list[str]:
    """Return what is wrong with the scenarios below *directories*."""
    with pytest.raises(ManyErrors) as caught:
        load_catalogue(directories, contract=contract)
    return caught.value.lines()


def selection_refusal(
    catalogue: Catalogue, *patterns: str, contract: Contract = SLOT, **where: bool
) -> str:
    """Return why *patterns* select nothing."""
    return refusal(UsageError, select, catalogue, patterns, contract, **where)


def selected(
    catalogue: Catalogue, *patterns: str, contract: Contract = SLOT, **where: bool
) -> list[str]:
    return [scenario.id for scenario in select(catalogue, patterns, contract, **where)]


# Reading.


def test_a_scenario_is_what_its_file_says(tmp_path: Path) -> None:
    text = """
summary = "S"
origin = "O"
agent = "codex"
control = { slot = "codex/no-auth" }
[expect]
slot = ["ready", "creds-invalid"]
[home.files]
"a" = "text"
"b" = { type = "directory", mode = "0500", mtime = "{now-1d}" }
"c/d" = { symlink = "../a" }
"e" = { hex = "00 ff", size = "1 KiB", owner = 7 }
"f" = { base64 = "AP8=" }
"g{n}" = { json = { a = [1, true, 1.5, "{null}"] }, count = 2 }
"h" = { runs = [["[", 2], ["]", 3]], depth = 4 }
"i" = { size = 5 }
"j" = { type = "fifo" }
"k" = { type = "socket" }
[cli]
state = "slow"
[env]
set = { A = "{home}" }
unset = ["B"]
"""
    directory = write(tmp_path, one__case=text)
    assert load_catalogue([directory]).get("one/case") == Scenario(
        id="one/case",
        file=f"{directory}/one/case.toml",
        summary="S",
        origin="O",
        agent="codex",
        control={"slot": "codex/no-auth"},
        expect={"slot": ("ready", "creds-invalid")},
        entries=(
            entry("a", text="text"),
            entry("b", "directory", mode=0o500, mtime="{now-1d}"),
            entry("c/d", "symlink", target="../a"),
            entry("e", data=b"\0\xff", size=1024, owner=7),
            entry("f", data=b"\0\xff"),
            entry("g{n}", json={"a": [1, True, 1.5, "{null}"]}, count=2),
            entry("h", runs=(("[", 2), ("]", 3)), depth=4),
            entry("i", size=5),
            entry("j", "fifo"),
            entry("k", "socket"),
        ),
        cli="slow",
        waits=True,
        env={"A": "{home}"},
        unset=("B",),
    )


def test_the_defaults_are_a_healthy_cli_and_an_empty_home(tmp_path: Path) -> None:
    scenario = load_catalogue([write(tmp_path, case=READY)]).get("case")
    assert (scenario.cli, scenario.entries, scenario.env, scenario.unset) == ("healthy", (), {}, ())
    assert scenario.control == {"": "claude/baseline-only"}


@pytest.mark.parametrize(
    ("table", "needs"),
    [
        ("", None),
        ('[container]\nuser = "0"\n', ContainerNeeds(user="0")),
        (
            '[container]\nuser = "2147483647:2147483647"\n',
            ContainerNeeds(user="2147483647:2147483647"),
        ),
        ("[container]\nhome_owner = 0\n", ContainerNeeds(home_owner=0)),
        ("[container]\nhome_owner = 4294967294\n", ContainerNeeds(home_owner=2**32 - 2)),
        ("[container]\nhome_read_only = true\n", ContainerNeeds(home_read_only=True)),
        (
            '[container]\nuser = "10001:0"\nhome_owner = 10000\nhome_read_only = true\n',
            ContainerNeeds(user="10001:0", home_owner=10_000, home_read_only=True),
        ),
        ('[container]\nuser = "10001"\nhome_read_only = false\n', ContainerNeeds(user="10001")),
    ],
)
def test_a_scenario_may_ask_for_what_only_a_container_has(
    table: str, needs: ContainerNeeds | None, tmp_path: Path
) -> None:
    assert load_catalogue([write(tmp_path, case=READY + table)]).get("case").container == needs


def test_summary_and_origin_are_one_line_that_a_terminal_only_shows(tmp_path: Path) -> None:
    """However the file breaks them: lists and reports have a line for each."""
    text = READY.replace('summary = "x"', 'summary = """\na\n  b\n"""').replace(
        'origin = "x"', 'origin = "c\\u001b[31m"'
    )
    scenario = load_catalogue([write(tmp_path, case=text)]).get("case")
    assert (scenario.summary, scenario.origin) == ("a b", r"c\x1b[31m")


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_bytes(READY.replace("\n", "\r\n").encode())
    assert load_catalogue([tmp_path]).get("case").summary == "x"


@pytest.mark.parametrize(
    ("state", "entries", "waits"),
    [
        ("healthy", (), False),
        ("hangs", (), True),
        ("hangs-ignoring-sigterm", (), True),
        ("hangs-in-a-child", (), True),
        ("slow", (), True),
        ("slower", (), True),
        ("too-slow", (), True),
        ("leaves-a-child", (), False),
        ("healthy", ("fifo",), True),
    ],
)
def test_a_scenario_waits_where_a_probe_may_have_nothing_else_to_do(
    state: str, entries: tuple[str, ...], waits: bool, tmp_path: Path
) -> None:
    files = "".join(f'a = {{ type = "{kind}" }}\n' for kind in entries)
    text = f'{READY}[cli]\nstate = "{state}"\n[home.files]\n{files}'
    assert load_catalogue([write(tmp_path, case=text)]).get("case").waits is waits


# Ids.


@pytest.mark.parametrize(
    "id_", ["case", "a/b/c", "0", "a-b.c-1", "a..b", "x-", "layers-of/case", "a/layers/case"]
)
def test_an_id_is_the_path_of_the_file_without_its_ending(id_: str, tmp_path: Path) -> None:
    path = tmp_path / f"{id_}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(READY)
    assert load_catalogue([tmp_path]).get(id_).file == str(path)


def test_an_id_counts_from_the_directory_that_was_named(tmp_path: Path) -> None:
    write(tmp_path, a__b=READY)
    assert "a/b" in load_catalogue([tmp_path]).scenarios
    assert "b" in load_catalogue([tmp_path / "a"]).scenarios


def test_the_id_of_a_single_file_counts_from_the_nearest_directory_called_scenarios(
    tmp_path: Path,
) -> None:
    directory = write(tmp_path, scenarios__scenarios__a__b=READY, other__c=READY)
    files = [directory / "scenarios/scenarios/a/b.toml", directory / "other/c.toml"]
    assert {"a/b", "c"} <= load_catalogue(files=files).scenarios.keys()
    assert [root_of(file) for file in files] == [
        directory / "scenarios/scenarios",
        directory / "other",
    ]


def test_a_file_in_a_directory_that_is_named_as_well_has_one_id(tmp_path: Path) -> None:
    directory = write(tmp_path, a__b=READY)
    found = load_catalogue([directory], files=[directory / "a/b.toml"])
    assert [
        id_ for id_, scenario in found.scenarios.items() if scenario.file == f"{directory}/a/b.toml"
    ] == ["a/b"]


def test_only_toml_files_are_scenarios(tmp_path: Path) -> None:
    for name in ("README.md", "case.TOML", "case.toml~", "toml"):
        (tmp_path / name).write_text("not read")
    assert load_catalogue([tmp_path]).scenarios.keys() == load_catalogue().scenarios.keys()


def test_the_catalogue_is_in_the_order_of_its_ids(tmp_path: Path) -> None:
    found = list(load_catalogue([write(tmp_path, zz=READY, aa=READY, m__m=READY)]).scenarios)
    assert found == sorted(found)
    assert {"zz", "aa", "m/m"} <= set(found)


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    one, two = (
        write(tmp_path / "1", a__b=READY),
        write(tmp_path / "2", a__b=READY + "# not the same\n"),
    )
    assert lines(one, two) == [
        f"{two}/a/b.toml: its id 'a/b' is taken by {one}/a/b.toml; ids are unique; rename one"
    ]


def test_a_file_with_the_id_of_a_bundled_scenario_is_refused(tmp_path: Path) -> None:
    [line] = lines(write(tmp_path, claude__nested_session=READY))
    taken = (
        f"its id 'claude/nested-session' is taken by {scenarios_dir()}/claude/nested-session.toml"
    )
    assert line == f"{tmp_path}/claude/nested-session.toml: {taken}; ids are unique; rename one"


def test_the_same_case_twice_is_one(tmp_path: Path) -> None:
    """Such as the catalogue in a checkout beside the installed one; the first of them counts."""
    one, two = write(tmp_path / "1", case=READY), write(tmp_path / "2", case=READY)
    assert load_catalogue([one, two]).get("case").file == f"{one}/case.toml"


def test_the_bundled_directory_may_be_named_as_well(bundled: Catalogue) -> None:
    assert load_catalogue([scenarios_dir()]).scenarios == bundled.scenarios


def test_an_id_that_is_unknown_is_answered_with_the_closest(bundled: Catalogue) -> None:
    with pytest.raises(UsageError) as caught:
        bundled.get("claude/nested-sesion")
    [line] = caught.value.lines()
    assert line.startswith("no scenario 'claude/nested-sesion'; did you mean claude/nested-session")
    assert line.endswith("?")
    assert line.count(" or ") <= 2


def test_an_id_that_is_like_no_other_is_answered_with_the_list(bundled: Catalogue) -> None:
    with pytest.raises(UsageError) as caught:
        bundled.get("zzzzzzzz")
    assert caught.value.lines() == ["no scenario 'zzzzzzzz'; see probe-conformance list"]


# Selection.


def test_nothing_selects_every_scenario_of_the_contract(bundled: Catalogue) -> None:
    assert selected(bundled) == [s.id for s in bundled.scenarios.values() if "slot" in s.expect]
    assert selected(bundled, contract=PREFLIGHT) == [
        s.id for s in bundled.scenarios.values() if "preflight" in s.expect
    ]


def test_an_id_selects_itself_and_nothing_that_begins_alike(bundled: Catalogue) -> None:
    assert selected(bundled, "cli/hangs") == ["cli/hangs"]


def test_a_dot_in_an_id_is_a_dot(tmp_path: Path) -> None:
    found = load_catalogue([write(tmp_path, **{"v1.0": READY, "v1x0": READY})])
    assert selected(found, "v1.0") == ["v1.0"]


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        ("g/*", ["g/a", "g/ab", "g/b", "g/h/a"]),
        ("g/?", ["g/a", "g/b"]),
        ("g/?b", ["g/ab"]),
        ("g*a", ["g/a", "g/h/a"]),
        ("*/h/*", ["g/h/a"]),
        ("g??", ["g/a", "g/b"]),
        ("g/a*", ["g/a", "g/ab"]),
        ("g/b**", ["g/b"]),
    ],
)
def test_a_star_stands_for_anything_and_a_question_mark_for_one_character(
    pattern: str, ids: list[str], tmp_path: Path
) -> None:
    found = load_catalogue([write(tmp_path, g__a=READY, g__ab=READY, g__b=READY, g__h__a=READY)])
    assert [id_ for id_ in selected(found, pattern) if id_.startswith("g/")] == ids


@pytest.mark.parametrize(
    "pattern",
    [
        "claude/[a-z]*",
        "[c]laude/nested-session",
        "claude/{nested-session}",
        "claude/.*",
        "(claude)/*",
        "",
        "claude",
    ],
)
def test_nothing_else_in_a_pattern_is_special(pattern: str, bundled: Catalogue) -> None:
    assert selection_refusal(bundled, pattern).startswith(
        f"no scenario '{pattern}' in contract 'slot'; "
    )


def test_several_patterns_select_each_scenario_once_in_the_order_of_ids(bundled: Catalogue) -> None:
    patterns = ("cli/hangs", "claude/nested-session", "cli/hang?", "cli/hangs", "claude/nested-*")
    assert selected(bundled, *patterns) == ["claude/nested-session", "cli/hangs"]


def test_one_pattern_that_selects_nothing_is_refused_whatever_the_others_do(
    bundled: Catalogue,
) -> None:
    line = selection_refusal(bundled, "cli/hangs", "claude/nested-sessions")
    assert line.startswith(
        "no scenario 'claude/nested-sessions' in contract 'slot'; did you mean claude/nested-session"
    )


def test_a_scenario_of_another_contract_is_refused_with_the_way_out(bundled: Catalogue) -> None:
    assert selection_refusal(bundled, "preflight/override-good") == (
        "scenario 'preflight/override-good' is not part of contract 'slot'; choose another with --contract"
    )
    assert selection_refusal(bundled, "codex/no-auth", contract=PREFLIGHT) == (
        "scenario 'codex/no-auth' is about codex, not claude; choose another with --contract or --agent"
    )


def test_a_pattern_selects_only_scenarios_of_the_contract(bundled: Catalogue) -> None:
    assert selection_refusal(bundled, "preflight/*").startswith(
        "no scenario 'preflight/*' in contract 'slot'"
    )
    assert {"slot" in bundled.get(id_).expect for id_ in selected(bundled, "claude/*")} == {True}


READ_ONLY = READY + "[container]\nhome_read_only = true\n"


def test_container_scenarios_are_selected_locally_only_by_id_or_file(tmp_path: Path) -> None:
    directory = write(tmp_path, own__a=READY, own__b=READ_ONLY, own__c=READY)
    found = load_catalogue([directory])
    assert selected(found, "own/*") == ["own/a", "own/b", "own/c"]
    assert selected(found, "own/*", containers=False) == ["own/a", "own/c"]
    assert selected(found, "own/?", "own/b", containers=False) == ["own/a", "own/b", "own/c"]
    assert selected(found, f"{directory}/own/b.toml", containers=False) == ["own/b"]


def test_no_pattern_selects_every_local_scenario(bundled: Catalogue) -> None:
    for contract in (SLOT, PREFLIGHT):
        ids = [
            scenario.id for scenario in bundled.in_contract(contract) if scenario.container is None
        ]
        assert selected(bundled, contract=contract, containers=False) == ids
    assert {
        id_.partition("/")[0]
        for id_ in {*selected(bundled)} - {*selected(bundled, containers=False)}
    } == {"container"}


def test_scenarios_for_local_probes_are_selected_for_an_image_only_by_id_or_file(
    tmp_path: Path,
) -> None:
    directory = write(
        tmp_path,
        own__a=READY,
        own__b=READY + '[process]\ncwd = "/"\n',
        own__c=READY + "[earlier]\n",
        own__d=READY + '[home]\nname = "a b"\n',
        own__e=READY + '[process]\numask = "0077"\n',
    )
    found = load_catalogue([directory])
    assert selected(found, "own/*", local=False) == ["own/a", "own/e"]
    assert selected(found, "own/a", "own/c", local=False) == ["own/a", "own/c"]
    assert selected(found, f"{directory}/own/b.toml", local=False) == ["own/b"]


def test_a_pattern_with_only_scenarios_for_local_probes_is_refused_for_an_image(
    bundled: Catalogue,
) -> None:
    line = "only a local probe can show what 'surroundings/cwd/*' names; name one with --probe"
    assert selection_refusal(bundled, "surroundings/cwd/*", local=False) == line


def test_a_pattern_with_only_container_scenarios_is_refused_locally(bundled: Catalogue) -> None:
    line = "only a container can show what 'container/*' names; name an image with --image"
    assert selection_refusal(bundled, "container/*", containers=False) == line
    assert selection_refusal(bundled, "claude/*", "container/*", containers=False) == line


def test_a_contract_without_any_scenario_selects_nothing(
    bundled: Catalogue, tmp_path: Path
) -> None:
    text = (
        'name = "own"\nversion = "1"\nsummary = "x"\nagents = ["claude"]\n[inputs]\nhome = "HOME"\n'
    )
    for name, code in (("yes", 0), ("no", 1)):
        text += f'[verdicts.{name}]\ncode = {code}\nmeaning = "x"\naction = "x"\n'
    assert (
        selection_refusal(bundled, contract=own_contract(tmp_path, text))
        == "no scenario is part of contract 'own'; see probe-conformance list"
    )


def test_a_file_selects_its_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an absolute path, by a relative one, through a link, and when it lies in the bundled catalogue."""
    directory = write(tmp_path / "own", case=READY)
    (tmp_path / "link").symlink_to("own")
    found = load_catalogue(files=[directory / "case.toml"])
    monkeypatch.chdir(tmp_path)
    for file in (
        f"{directory}/case.toml",
        "own/case.toml",
        "./own/../own/case.toml",
        "link/case.toml",
    ):
        assert selected(found, file) == ["case"]
    assert selected(found, f"{scenarios_dir()}/cli/hangs.toml") == ["cli/hangs"]


def copied(directory: Path, *ids: str) -> list[str]:
    """Copy files of the bundled catalogue, as a checkout has them; return the paths."""
    copies = [directory / "scenarios" / f"{id_}.toml" for id_ in ids]
    for id_, copy in zip(ids, copies, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((scenarios_dir() / f"{id_}.toml").read_bytes())
    return list(map(str, copies))


def test_a_copy_of_a_bundled_file_selects_what_that_has(tmp_path: Path) -> None:
    one, family = copied(tmp_path, "claude/nested-session", "codex/long")
    found = load_catalogue([tmp_path / "scenarios"], files=[Path(one)])
    variants = [id_ for id_ in found.scenarios if id_.startswith("codex/long/")]
    assert len(variants) > 1
    assert selected(found, one) == ["claude/nested-session"]
    assert selected(found, family) == variants
    assert found.one(one) is found.get("claude/nested-session")
    assert found.one(one).file == f"{scenarios_dir()}/claude/nested-session.toml"
    assert refusal(UsageError, found.one, family) == (
        f"'{family}' names {len(variants)} scenarios; give the id of one, such as {variants[0]}"
    )


def test_a_changed_copy_of_a_bundled_file_is_no_copy(tmp_path: Path) -> None:
    [file] = copied(tmp_path, "claude/nested-session")
    Path(file).write_bytes(Path(file).read_bytes() + b"# changed\n")
    line = refusal(ManyErrors, load_catalogue, files=[Path(file)])
    assert line.startswith(f"{file}: its id 'claude/nested-session' is taken by")


@pytest.mark.parametrize("name", ["nothing.toml", "loop.toml", f"{'x' * 300}.toml"])
def test_a_file_that_is_not_loaded_selects_nothing(
    name: str, bundled: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    assert selection_refusal(bundled, str(tmp_path / name)).startswith(
        f"no scenario '{tmp_path / name}' in contract 'slot'"
    )


def test_a_file_of_another_contract_is_refused(bundled: Catalogue) -> None:
    line = selection_refusal(bundled, f"{scenarios_dir()}/preflight/override-good.toml")
    assert line.startswith("scenario 'preflight/override-good' is not part of contract 'slot'")


# Controls.


def test_a_control_may_be_one_of_ones_own_and_each_others(tmp_path: Path) -> None:
    one = TOP + 'control = "own/two"\n[expect]\nslot = "ready"\n'
    two = TOP + 'control = "own/one"\n[expect]\nslot = "cli-broken"\n'
    found = load_catalogue([write(tmp_path, own__one=one, own__two=two)])
    assert [found.get(id_).control_for(SLOT) for id_ in ("own/one", "own/two")] == [
        "own/two",
        "own/one",
    ]


def test_a_control_has_to_tell_one_contract_of_several_apart(tmp_path: Path) -> None:
    """What preflight leaves open has no control there, and one under slot."""
    text = (
        TOP
        + 'control = "claude/no-dot-claude"\n[expect]\nslot = "ready"\npreflight = ["ready", "creds-invalid"]\n'
    )
    assert "case" in load_catalogue([write(tmp_path, case=text)]).scenarios


def test_each_contract_named_with_a_control_has_to_be_told_apart(tmp_path: Path) -> None:
    table = '{ slot = "claude/no-dot-claude", preflight = "claude/no-dot-claude" }'
    text = TOP + f'control = {table}\n[expect]\nslot = "ready"\npreflight = "creds-invalid"\n'
    [line] = lines(write(tmp_path, case=text))
    assert line.startswith(
        f"{tmp_path}/case.toml: control.preflight: 'claude/no-dot-claude' does not call for another exit code"
    )


def test_a_scenario_that_any_answer_fits_needs_no_other_control(tmp_path: Path) -> None:
    text = (
        TOP
        + 'control = "claude/credentials-file"\n[expect]\npreflight = ["ready", "creds-invalid"]\n'
    )
    assert "case" in load_catalogue([write(tmp_path, case=text)]).scenarios


def test_a_control_with_another_verdict_of_the_same_code_is_none(tmp_path: Path) -> None:
    """All refusals of preflight share one exit code, so a probe could not show that it tells them apart."""
    text = TOP + 'control = "{}"\n[expect]\npreflight = "creds-missing"\n'
    broken = load_catalogue().get("cli/missing")
    assert broken.expected(PREFLIGHT) == ("cli-broken",)
    [line] = lines(write(tmp_path, case=text.format("cli/missing")))
    assert line.startswith(
        f"{tmp_path}/case.toml: control: 'cli/missing' does not call for another exit code"
    )
    write(tmp_path, case=text.format("cli/healthy"))
    assert "case" in load_catalogue([tmp_path]).scenarios


def test_every_wrong_control_is_reported(tmp_path: Path) -> None:
    wrong = READY.replace("baseline-only", "nothing-like-it")
    assert len(lines(write(tmp_path, a=wrong, b=wrong, c=READY))) == 2


# Contracts that extend others.

CHILD_CASE = TOP + 'control = {{ {} = "claude/baseline-only" }}\n[expect]\n{} = "ready"\n'


def test_a_contract_inherits_what_its_parent_expects(bundled: Catalogue, tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    nested = bundled.get("claude/nested-session")
    assert nested.expected(own) == nested.expected(SLOT) == ("ready",)
    assert nested.control_for(own) == nested.control_for(SLOT) == "claude/baseline-only"
    assert [s.id for s in bundled.in_contract(own)] == [s.id for s in bundled.in_contract(SLOT)]


def test_a_scenario_may_expect_something_else_under_a_child(tmp_path: Path) -> None:
    """The nearest of a contract and those it extends counts, for expectations and for controls."""
    own = own_contract(tmp_path)
    controls = 'control = { slot = "claude/baseline-only", own = "claude/nested-session" }'
    text = f'{TOP}{controls}\n[expect]\nslot = "ready"\nown = "creds-missing"\n'
    scenario = load_catalogue([write(tmp_path / "s", case=text)], contract=own).get("case")
    assert (scenario.expected(SLOT), scenario.control_for(SLOT)) == (
        ("ready",),
        "claude/baseline-only",
    )
    assert (scenario.expected(own), scenario.control_for(own)) == (
        ("creds-missing",),
        "claude/nested-session",
    )
    assert scenario.expected(PREFLIGHT) == ()


def test_one_control_for_all_contracts_counts_where_none_is_named(tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    scenario = load_catalogue([write(tmp_path / "s", case=READY)]).get("case")
    assert scenario.control_for(own) == "claude/baseline-only"


def test_a_child_takes_the_control_of_its_parent_where_it_has_none_of_its_own(
    tmp_path: Path,
) -> None:
    own = own_contract(tmp_path)
    text = (
        TOP
        + 'control = { slot = "claude/baseline-only" }\n[expect]\nslot = "ready"\nown = ["ready"]\n'
    )
    scenario = load_catalogue([write(tmp_path / "s", case=text)], contract=own).get("case")
    assert scenario.control_for(own) == "claude/baseline-only"


def test_a_scenario_of_a_child_alone_is_no_part_of_its_parent(tmp_path: Path) -> None:
    """Its control is judged by the child, which inherits the expectation of the control."""
    own = own_contract(tmp_path)
    found = load_catalogue(
        [write(tmp_path / "s", case=CHILD_CASE.format("own", "own"))], contract=own
    )
    assert found.get("case").expected(SLOT) == ()
    assert (selected(found, "case", contract=own), selected(found, "cli/hangs", contract=own)) == (
        ["case"],
        ["cli/hangs"],
    )


def test_a_control_under_a_child_has_to_call_for_another_code_there(tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    text = CHILD_CASE.format("own", "own").replace("baseline-only", "credentials-file")
    [line] = lines(write(tmp_path / "s", case=text), contract=own)
    assert "control.own: 'claude/credentials-file' does not call for another exit code" in line


def test_a_contract_of_ones_own_is_known_only_when_it_is_named(tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    directory = write(tmp_path / "s", case=CHILD_CASE.format("own", "own"))
    assert "own" in load_catalogue([directory], contract=own).contracts
    [line] = lines(directory)
    known = f"known: {', '.join(contracts.bundled())}; a contract of your own is named with --contract FILE"
    assert line == f"{directory}/case.toml: expect.own: no contract 'own'; {known}"


def test_a_contract_of_a_contract_of_ones_own_counts_its_agents(tmp_path: Path) -> None:
    own = own_contract(
        tmp_path,
        'name = "own"\nversion = "1"\nsummary = "x"\nextends = "slot"\nagents = ["claude", "gemini"]\n',
    )
    text = CHILD_CASE.format("own", "own").replace('agent = "claude"', 'agent = "gemini"')
    assert (
        load_catalogue([write(tmp_path / "s", case=text)], contract=own).get("case").agent
        == "gemini"
    )


def test_scenarios_of_ones_own_are_listed_by_the_contract_of_ones_own(tmp_path: Path) -> None:
    """The whole way through the command line."""
    own_contract(tmp_path)
    directory = write(tmp_path / "s", case=CHILD_CASE.format("own", "own"))
    words = [
        "list",
        "--contract",
        str(tmp_path / "own.contract"),
        "--scenarios",
        str(directory),
        "--json",
        "case",
        "claude/nested-session",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        row["id"]: (row["expected"], row["codes"], row["control"])
        for row in json.loads(done.stdout)
    }
    assert rows == {
        "case": (["ready"], [0], "claude/baseline-only"),
        "claude/nested-session": (["ready"], [0], "claude/baseline-only"),
    }


# Layers.

LAYER = 'summary = "x"\n[files]\n".claude/a" = "own"\n"b" = { type = "directory" }\n'


def with_layers(*names: str, files: str = "") -> str:
    return f"{READY}[home]\ninclude = {json.dumps(names)}\n[home.files]\n{files}"


def paths(directory: Path, text: str) -> dict[str, str | None]:
    """Return the texts of the entries of a scenario with this text, by path."""
    scenario = load_catalogue([write(directory, case=text)]).get("case")
    return {entry.path: text_of(entry) for entry in scenario.entries}


def test_a_bundled_layer_is_found_by_its_name(tmp_path: Path) -> None:
    baseline = layer("claude-baseline")
    assert {entry.path for entry in baseline} == {
        ".claude/CLAUDE.md",
        ".claude/config.toml",
        ".claude/settings.json",
    }
    assert (
        load_catalogue([write(tmp_path, case=with_layers("claude-baseline"))]).get("case").entries
        == baseline
    )


def test_a_layer_of_ones_own_lies_beside_the_scenarios_and_is_no_scenario(tmp_path: Path) -> None:
    write(tmp_path, layers__own=LAYER)
    assert paths(tmp_path, with_layers("own")) == {".claude/a": "own", "b": None}
    assert "layers/own" not in load_catalogue([tmp_path]).scenarios


def test_layers_of_ones_own_go_by_the_top_directory_however_deep_the_scenario_lies(
    tmp_path: Path,
) -> None:
    write(tmp_path, layers__own=LAYER, a__b__case=with_layers("own"))
    assert [entry.path for entry in load_catalogue([tmp_path]).get("a/b/case").entries] == [
        ".claude/a",
        "b",
    ]


def test_a_layer_of_ones_own_comes_before_a_bundled_one_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, layers__claude_baseline=LAYER)
    assert paths(tmp_path, with_layers("claude-baseline")) == {".claude/a": "own", "b": None}
    assert len(load_catalogue([tmp_path]).get("claude/baseline-only").entries) == 3


def test_a_later_layer_wins_over_an_earlier_one_and_the_scenario_over_all(tmp_path: Path) -> None:
    write(tmp_path, layers__one=LAYER, layers__two=LAYER.replace("own", "two"))
    assert paths(tmp_path, with_layers("one", "two"))[".claude/a"] == "two"
    assert paths(tmp_path, with_layers("two", "one"))[".claude/a"] == "own"
    assert (
        paths(tmp_path, with_layers("one", "two", files='".claude/a" = "mine"'))[".claude/a"]
        == "mine"
    )


def test_a_layer_may_include_others_of_ones_own_and_bundled_ones(tmp_path: Path) -> None:
    top = 'summary = "Top"\ninclude = ["claude-baseline", "low"]\n[files]\nb = "top"\n'
    write(tmp_path, layers__low=LAYER, layers__top=top)
    found = paths(tmp_path, with_layers("top"))
    assert (found[".claude/a"], found["b"], ".claude/CLAUDE.md" in found) == ("own", "top", True)


def test_a_layer_may_consist_of_others(tmp_path: Path) -> None:
    write(tmp_path, layers__low=LAYER, layers__top='summary = "Top"\ninclude = ["low"]\n')
    assert paths(tmp_path, with_layers("top")) == {".claude/a": "own", "b": None}


@pytest.mark.parametrize("first", ["one", "two"])
def test_a_layer_that_includes_itself_is_refused(first: str, tmp_path: Path) -> None:
    one, two = ('summary = "x"\ninclude = ["two"]\n', 'summary = "x"\ninclude = ["one"]\n')
    write(tmp_path, layers__one=one, layers__two=two)
    [line] = lines(write(tmp_path, case=with_layers(first)))
    other = "two" if first == "one" else "one"
    assert line == f"{tmp_path}/layers/{other}.toml: include: layer '{first}' includes itself"


def test_a_layer_that_includes_an_unknown_one_is_named(tmp_path: Path) -> None:
    write(tmp_path, layers__own='summary = "x"\ninclude = ["none"]\n')
    [line] = lines(write(tmp_path, case=with_layers("own")))
    assert line.startswith(f"{tmp_path}/layers/own.toml: include: no layer 'none'; known: ")


def test_an_unknown_layer_is_refused_with_the_known_ones_one_s_own_included(tmp_path: Path) -> None:
    write(tmp_path, layers__own=LAYER)
    [line] = lines(write(tmp_path, case=with_layers("owm")))
    known = ", ".join([*LAYERS, "own"])
    assert line == f"{tmp_path}/case.toml: home.include: no layer 'owm'; known: {known}"


def test_a_layer_is_no_way_out_of_the_layers(tmp_path: Path) -> None:
    write(tmp_path, layers__own=LAYER)
    for name in ("../layers/own", "own.toml", "/own", "", "./own", "Own"):
        [line] = lines(write(tmp_path, case=with_layers(name)))
        assert f"home.include: no layer '{name}'" in line


def test_an_entry_below_a_file_of_a_layer_is_refused_and_one_in_its_directory_is_not(
    tmp_path: Path,
) -> None:
    write(tmp_path, layers__own=LAYER)
    assert set(paths(tmp_path, with_layers("own", files='"b/c" = ""'))) == {".claude/a", "b", "b/c"}
    [line] = lines(write(tmp_path, case=with_layers("own", files='".claude/a/c" = ""')))
    assert (
        line
        == f"{tmp_path}/case.toml: home.files..claude/a/c: lies below '.claude/a', which is not a directory"
    )


def test_layers_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path, layers__own=LAYER, layers__below='summary = "x"\n[files]\n".claude/a/b" = ""\n')
    [line] = lines(write(tmp_path, case=with_layers("own", "below")))
    assert line.startswith(f"{tmp_path}/case.toml: home.files..claude/a/b: lies below")


@pytest.mark.parametrize(
    "path", sorted((fixtures_dir() / "layers").glob("*.toml")), ids=lambda path: path.stem
)
def test_every_bundled_layer_can_be_read_and_is_used(path: Path, bundled: Catalogue) -> None:
    entries = set(map(repr, layer(path.stem)))
    assert entries
    assert [s.id for s in bundled.scenarios.values() if entries <= set(map(repr, s.entries))]


# What is bundled.


def test_there_are_at_least_two_hundred_scenarios_and_every_file_holds_some(
    bundled: Catalogue,
) -> None:
    assert len(bundled.in_contract(SLOT)) >= 200
    assert {scenario.file for scenario in bundled.scenarios.values()} == set(
        map(str, scenarios_dir().rglob("*.toml"))
    )


@pytest.mark.parametrize("contract", [SLOT, PREFLIGHT], ids=lambda contract: contract.name)
def test_every_verdict_is_expected_somewhere_and_nothing_else_conforms_there(
    contract: Contract, bundled: Catalogue
) -> None:
    expected = {scenario.expected(contract) for scenario in bundled.in_contract(contract)}
    assert {(verdict.name,) for verdict in contract.verdicts} <= expected


@pytest.mark.parametrize(
    ("contract", "codes"),
    [(SLOT, (0, 1, 64, 65, 66)), (PREFLIGHT, (0, 1))],
    ids=["slot", "preflight"],
)
def test_no_answer_that_is_always_the_same_conforms(
    contract: Contract, codes: tuple[int, ...], bundled: Catalogue
) -> None:
    """Whatever the code, most of the catalogue calls for another one."""
    scenarios = bundled.in_contract(contract)
    allowed = [scenario.codes(contract) for scenario in scenarios]
    conforming = {code: sum(code in each for each in allowed) for code in range(256)}
    assert [code for code, count in conforming.items() if count >= len(scenarios)] == []
    assert [code for code in codes if conforming[code] > 0.9 * len(scenarios)] == []
    assert {code for code, count in conforming.items() if count} == set(contract.all_codes)


@pytest.mark.parametrize("contract", [SLOT, PREFLIGHT], ids=lambda contract: contract.name)
def test_every_expectation_that_decides_anything_has_a_control_that_calls_for_another_code(
    contract: Contract, bundled: Catalogue
) -> None:
    """Only where every code conforms, under a contract of two, there is nothing to tell apart."""
    every = set(contract.all_codes)
    blind = []
    for scenario in bundled.in_contract(contract):
        control = bundled.get(scenario.control_for(contract))
        codes, others = scenario.codes(contract), control.codes(contract)
        if codes != every and not (others and codes.isdisjoint(others)):
            blind.append(scenario.id)
    assert blind == []


def test_every_scenario_says_in_a_line_what_it_is_about_and_where_it_comes_from(
    bundled: Catalogue,
) -> None:
    texts = [(s.id, text) for s in bundled.scenarios.values() for text in (s.summary, s.origin)]
    assert [
        id_
        for id_, text in texts
        if not text.isprintable() or len(text.split()) < 2 or text != text.strip()
    ] == []
    summaries = [scenario.summary for scenario in bundled.scenarios.values()]
    assert [summary for summary in summaries if summaries.count(summary) > 1] == []


LOGIN = ".claude/.credentials.json"


def test_every_agent_and_every_condition_of_the_cli_is_met(bundled: Catalogue) -> None:
    """Each condition is met with a login; without one where that says more: under a contract that
    tells the refusals apart, and for some of those that outrank a missing login."""
    assert {scenario.agent for scenario in bundled.in_contract(SLOT)} == {"claude", "codex"}
    outranking = 0
    in_slot: dict[str, list[Scenario]] = {}
    for one in bundled.in_contract(SLOT):
        if one.id.startswith("cli/") and any(entry.path == LOGIN for entry in one.entries):
            in_slot.setdefault(one.cli, []).append(one)
    for contract in (SLOT, PREFLIGHT):
        for state in cli_states():
            about = [
                s
                for s in bundled.in_contract(contract)
                if s.cli == state and s.id.startswith("cli/") and s.agent == "claude"
            ]
            with_login, without = (
                {
                    s.expected(contract)
                    for s in about
                    if any(e.path == LOGIN for e in s.entries) is login
                }
                for login in (True, False)
            )
            outranking += without == {("cli-broken",)}
            met: dict[tuple[str, ...], list[set[tuple[str, ...]]]] = {
                ("cli-broken",): [{("cli-broken",)}, set()],
                ("ready",): [{("creds-missing",)}, *([] if contract is SLOT else [set()])],
                ("ready", "cli-broken"): [
                    {("creds-missing", "cli-broken")},
                    *([] if contract is SLOT else [set()]),
                ],
            }
            # Where every answer of a contract would do, nothing is asked under it.
            if contract is PREFLIGHT and not with_login:
                assert {s.codes(SLOT) == {0, 64} for s in in_slot[state]} == {True}, state
                continue
            assert len(with_login) == 1, state
            assert without in met[with_login.pop()], state
    assert outranking > 20


def test_container_scenarios_meet_every_verdict_about_credentials(bundled: Catalogue) -> None:
    scenarios = [scenario for scenario in bundled.in_contract(SLOT) if scenario.container]
    for agent in ("claude", "codex"):
        expected = {scenario.expected(SLOT) for scenario in scenarios if scenario.agent == agent}
        assert {("ready",), ("creds-missing",), ("creds-invalid",)} <= expected
    asked = {
        name
        for s in scenarios
        for name in ContainerNeeds.__struct_fields__
        if getattr(s.container, name)
    }
    assert asked == {*ContainerNeeds.__struct_fields__}


def test_files_shut_by_owner_are_shut_for_the_named_user(bundled: Catalogue) -> None:
    """Run as root, an image would own what is meant to be root's."""
    for scenario in bundled.scenarios.values():
        needs = scenario.container
        if needs and (
            needs.home_owner is not None
            or any(entry.owner is not None for entry in scenario.entries)
        ):
            uid = int(needs.user.partition(":")[0])
            assert uid not in {0, needs.home_owner, *(entry.owner for entry in scenario.entries)}, (
                scenario.id
            )


NAMED = [
    "agent/env-missing agent/env-empty agent/env-blank agent/unmapped agent/prefix agent/wrong-case",
    "claude/no-dot-claude claude/empty-dot-claude claude/baseline-only claude/nested-session claude/legacy-credentials-json",
    "claude/credentials-file claude/artifact-zero-bytes claude/artifact-name-not-utf8 claude/ten-thousand-directories",
    "claude/kubernetes-secret-mount claude/unreadable-directory claude/unsearchable-directory claude/fifo-only",
    "codex/no-auth codex/api-key codex/empty codex/blank codex/dangling-symlink codex/fifo codex/deep-nesting codex/unreadable",
    "container/home-of-another-uid-claude container/home-of-another-uid-codex container/root-owned-auth-json",
    "container/home-read-only-claude container/random-uid-claude container/home-unset-no-passwd-claude",
]


@pytest.mark.parametrize("id_", " ".join(NAMED).split())
def test_an_id_is_never_given_up(id_: str, bundled: Catalogue) -> None:
    """Reports, lists of known failures and commands speak of them."""
    assert bundled.get(id_).id == id_


def test_loading_hands_out_its_own_contracts_only(tmp_path: Path) -> None:
    """A contract of one call is not known to the next."""
    bundled = contracts.bundled().keys()
    assert load_catalogue(contract=own_contract(tmp_path)).contracts.keys() == bundled | {"own"}
    assert load_catalogue().contracts.keys() == bundled


def test_a_single_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_scenarios(
            write(tmp_path, a__b=READY + "x = 1\n") / "a/b.toml", tmp_path, contracts.bundled()
        )
    assert (caught.value.file, caught.value.key) == (f"{tmp_path}/a/b.toml", "expect.x")
    assert isinstance(caught.value, ConformanceError)


# Where it all lies.


@pytest.fixture
def fresh_root() -> Iterator[None]:
    """Let the place of the data be looked up anew, before and after."""
    data_root.cache_clear()
    yield
    data_root.cache_clear()


@pytest.mark.usefixtures("fresh_root")
@pytest.mark.parametrize("installed", [True, False])
def test_the_data_lies_in_the_installed_package_or_beside_it_in_a_checkout(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "conformance"
    root = package if installed else tmp_path
    (root / "scenarios").mkdir(parents=True)
    monkeypatch.setattr(places, "__file__", str(package / "bundled.py"))
    assert (data_root(), scenarios_dir(), fixtures_dir()) == (
        root,
        root / "scenarios",
        root / "fixtures",
    )
    assert contracts_dir() == package / "contracts"


def test_the_data_is_there() -> None:
    for directory in (
        scenarios_dir(),
        fixtures_dir(),
        contracts_dir(),
        fixtures_dir() / "layers",
        fixtures_dir() / "probes",
    ):
        assert directory.is_dir()

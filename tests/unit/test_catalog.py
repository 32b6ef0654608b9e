"""The catalogue: reading, ids, selection, controls, and where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import entry, refusal
from support_scenario_files import PREFLIGHT, READY, SLOT, TOP, lines, own_contract, selected, write

from conformance import bundled as places
from conformance.bundled import contracts_dir, data_root, fixtures_dir, scenarios_dir
from conformance.catalogue.catalogue import Catalogue, load_catalogue, root_of, select
from conformance.errors import ManyErrors, UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import ContainerNeeds, Scenario


def selection_refusal(
    catalogue: Catalogue, *patterns: str, contract: Contract = SLOT, **where: bool
) -> str:
    """Return why *patterns* select nothing."""
    return refusal(UsageError, select, catalogue, patterns, contract, **where)


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
    assert selection_refusal(bundled, "preflight/*") == (
        "no scenario 'preflight/*' is part of contract 'slot'; choose another with --contract"
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

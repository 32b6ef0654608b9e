"""Layers: parts of homes that scenarios share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import LAYERS, text_of
from support_scenario_files import READY, lines, write

from conformance.bundled import fixtures_dir
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.catalogue.layers import layer

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

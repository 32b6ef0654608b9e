"""What is written as a scenario file reads as the same scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from conformance.catalogue.catalogue import load_catalogue
from conformance.catalogue.scenarios import read_scenarios
from conformance.catalogue.writing import scenario_text
from conformance.errors import UsageError
from conformance.model.scenario import Bytes, Entry, Json, Scenario, Text

CATALOGUE = load_catalogue()
OF_HOMES = [s for s in CATALOGUE.scenarios.values() if not (s.steps or s.start or s.login)]


def reread(scenario: Scenario, directory: Path) -> Scenario:
    file = directory / "again.toml"
    file.write_text(scenario_text(scenario), encoding="utf-8")
    [found] = read_scenarios(file, directory, CATALOGUE.contracts)
    return found


def told(scenario: Scenario) -> dict[str, Any]:
    """All that *scenario* says, without the names of files, of layers and of itself; entries by their paths."""
    found = {name: getattr(scenario, name) for name in scenario.__struct_fields__}
    for name in ("id", "file", "variant", "layers", "cli_file"):
        del found[name]
    found["entries"] = {entry.path: entry for entry in scenario.entries}
    # To Python, dictionaries are the same in any order; to a reader of JSON that cannot be told.
    found["in order"] = {entry.path: repr(entry.content) for entry in scenario.entries}
    return found


@pytest.mark.in_turn(4)
@pytest.mark.parametrize("part", range(4))
def test_every_scenario_about_a_home_reads_as_it_was_written(tmp_path: Path, part: int) -> None:
    assert len(OF_HOMES) > 500
    wrong = [s.id for s in OF_HOMES[part::4] if told(reread(s, tmp_path)) != told(s)]
    assert wrong == []


ANY = CATALOGUE.scenarios["claude/baseline-only"]
#: Anything but lone surrogates, which UTF-8 has not; and braces, which are the business of who makes an entry.
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"))
VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)
CONTENTS = st.one_of(
    st.none(),
    st.builds(Text, PLAIN),
    st.builds(Bytes, st.binary(max_size=200)),
    st.builds(Json, VALUES),
)


@given(
    CONTENTS,
    st.none() | st.integers(0, 0o7777),
    st.none() | st.integers(0, 2**20),
    st.none() | st.integers(0, 2**32 - 2),
    st.sampled_from(["", "{now-3d}"]),
)
def test_a_file_with_anything_in_it_reads_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    content: Any,
    mode: int | None,
    size: int | None,
    owner: int | None,
    mtime: str,
) -> None:
    if content is None and size is None:
        size = 0
    entry = Entry(
        path=".claude/x",
        kind="file",
        content=content,
        mode=mode,
        size=size,
        owner=owner,
        mtime=mtime,
    )
    scenario = replace(ANY, entries=(entry,))
    again = reread(scenario, tmp_path_factory.getbasetemp())
    assert again.entries == (entry,)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip))
def test_words_of_any_kind_are_kept(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    scenario = replace(
        ANY, env={"SOME": text.replace("{", "(").replace("\0", "")}, differs=" ".join(text.split())
    )
    again = reread(scenario, tmp_path_factory.getbasetemp())
    assert again.env == scenario.env


def test_a_layer_of_which_something_is_missing_is_written_out(tmp_path: Path) -> None:
    first, *others = ANY.entries
    text = scenario_text(replace(ANY, entries=tuple(others)))
    assert "include" not in text
    assert first.path not in text


def test_a_comment_stands_at_the_top() -> None:
    assert scenario_text(ANY, comment="one\ntwo").startswith("# one\n# two\nsummary = ")


def test_a_story_is_refused() -> None:
    story = next(s for s in CATALOGUE.scenarios.values() if s.steps)
    with pytest.raises(UsageError, match="is about more than a home"):
        scenario_text(story)


LONG = {"text": "x" * 200}


@pytest.mark.parametrize(
    "value",
    [
        {"long": LONG, "short": {"a": 1}},
        {"first": 1, "long": LONG, "short": {"a": 1}, "last": 2},
        {"inner": {"long": LONG, "short": {}, "again": LONG}, "after": {"long": LONG, "last": [1]}},
    ],
    ids=["short-after-long", "number-after-long", "deeper"],
)
def test_members_of_json_stay_in_order(tmp_path: Path, value: dict[str, Any]) -> None:
    scenario = replace(ANY, entries=(Entry(path="a", kind="file", content=Json(value)),))

    assert told(reread(scenario, tmp_path)) == told(scenario)

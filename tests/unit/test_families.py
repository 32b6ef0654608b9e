"""A file with several scenarios: what they share, what each has of its own, and how they are called."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from factories import json_of, refusal
from support_cli import suite
from support_pytest import run_pytest

from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.errors import ConformanceError, ManyErrors
from conformance.model.scenario import Entry, Scenario

FAMILY = """\
origin = "here: it was met"
agent = "claude"
control = "claude/baseline-only"
[expect]
slot = "ready"
[rules]
slot = "claude-login"
[home]
include = ["claude-baseline", "claude-credentials"]
[home.files]
".claude/a" = "shared"
".claude/b" = "shared"
[env.set]
COLOUR = "red"
SHAPE = "round"
[variants.plain]
summary = "As the family is"
[variants.changed]
summary = "With things of its own"
origin = "elsewhere: it was met"
expect.preflight = "ready"
control = { slot = "claude/no-dot-claude", preflight = "claude/no-dot-claude" }
rules.preflight = "login"
home.files.".claude/b" = { type = "directory" }
env.set.COLOUR = "blue"
[variants.emptied]
summary = "Without what the family includes"
home.include = []
"""


def load(directory: Path, text: str, id_: str = "own/family") -> Catalogue:
    path = directory / f"{id_}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return load_catalogue([directory])


def family(directory: Path) -> dict[str, Scenario]:
    """Return the scenarios of the family above, by the names of their variants."""
    found = load(directory, FAMILY)
    return {s.variant: s for id_, s in found.scenarios.items() if id_.startswith("own/")}


def family_refusal(directory: Path, text: str) -> str:
    """Return the one line that says what is wrong with a family, without the name of its file."""
    line = refusal(ManyErrors, load, directory, text)
    return line.removeprefix(f"{directory}/own/family.toml: ")


def test_each_variant_is_a_scenario_with_an_id_of_its_own(tmp_path: Path) -> None:
    found = family(tmp_path)

    assert {s.id: s.file for s in found.values()} == {
        f"own/family/{name}": f"{tmp_path}/own/family.toml"
        for name in ("plain", "changed", "emptied")
    }


def test_tables_are_merged_and_all_else_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    plain, changed, emptied = (family(tmp_path)[name] for name in ("plain", "changed", "emptied"))

    assert (plain.origin, changed.origin) == ("here: it was met", "elsewhere: it was met")
    assert plain.expect == {"slot": ("ready",)}
    assert changed.expect == {"slot": ("ready",), "preflight": ("ready",)}
    assert changed.rules == {"slot": ("claude-login",), "preflight": ("login",)}
    assert (plain.env, changed.env) == (
        {"COLOUR": "red", "SHAPE": "round"},
        {"COLOUR": "blue", "SHAPE": "round"},
    )
    assert (plain.control, changed.control["slot"]) == (
        {"": "claude/baseline-only"},
        "claude/no-dot-claude",
    )
    kinds = {entry.path: entry.kind for entry in changed.entries}
    assert (kinds[".claude/a"], kinds[".claude/b"], kinds[".claude/CLAUDE.md"]) == (
        "file",
        "directory",
        "file",
    )
    assert {entry.path for entry in emptied.entries} == {".claude/a", ".claude/b"}


def test_a_family_can_become_a_directory_and_ids_stay(tmp_path: Path) -> None:
    ids = set(load(tmp_path / "one", FAMILY).scenarios)
    alone = FAMILY.partition("[variants")[0].replace("agent =", 'summary = "Alone"\nagent =')
    for name in ("plain", "changed", "emptied"):
        found = load(tmp_path / "many", alone, f"own/family/{name}")

    assert set(found.scenarios) == ids


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[variants.plain]",
            "[variants.Plain]",
            "variants: 'Plain' is not a variant name; use lower-case",
        ),
        ('summary = "As the family is"', "", "variants.plain.summary: missing"),
        (
            'summary = "As the family is"',
            'summary = "x"\ncolour = 1',
            "variants.plain.colour: unknown key; allowed here: summary,",
        ),
        (
            'expect.preflight = "ready"',
            'expect.preflight = "red"',
            "variants.changed.expect.preflight: unknown verdict 'red'; ",
        ),
        (
            'env.set.COLOUR = "blue"',
            'env.unset = ["SHAPE"]',
            "variants.changed.env: 'SHAPE' is both set and unset",
        ),
        (
            'rules.preflight = "login"',
            'rules.preflight = "log"',
            "variants.changed.rules.preflight: no rule 'log'; known: ",
        ),
        (
            'rules.preflight = "login"',
            'rules.cli-status = "x"',
            "variants.changed.rules.cli-status: it expects nothing under",
        ),
        (
            "home.include = []",
            'home.include = ["x"]',
            "variants.emptied.home.include: no layer 'x'; known: ",
        ),
        ("home.include = []", 'control = "a/b"', "variants.emptied.control: no scenario 'a/b'; "),
    ],
)
def test_errors_in_a_variant_name_the_variant(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in FAMILY

    assert family_refusal(tmp_path, FAMILY.replace(old, new, 1)).startswith(said)


def test_a_family_without_variants_is_refused(tmp_path: Path) -> None:
    assert "variants" in family_refusal(tmp_path, FAMILY.partition("[variants")[0] + "[variants]\n")


class TestPatch:
    """Changes to the json of a layer."""

    def json(self, directory: Path, patch: str) -> Any:
        """Return the login of the bundled layer with *patch* applied."""
        text = (
            FAMILY.partition("[home]")[0]
            + '[home]\ninclude = ["claude-credentials"]\n[variants.one]\nsummary = "One"\n'
        )
        scenario = load(
            directory, text + f'home.files.".claude/.credentials.json" = {patch}\n'
        ).get("own/family/one")
        [entry] = scenario.entries
        return json_of(entry)

    def test_it_changes_adds_and_takes_away(self, tmp_path: Path) -> None:
        patch = '{ patch = { claudeAiOauth = { accessToken = "", scopes = "{absent}", new = { a = "{null}" } }, other = 1 } }'

        found = self.json(tmp_path, patch)

        login = found["claudeAiOauth"]
        assert (login["accessToken"], "scopes" in login, login["new"], found["other"]) == (
            "",
            False,
            {"a": "{null}"},
            1,
        )
        assert (login["refreshToken"], login["expiresAt"]) == ("{secret:refresh}", "{now+8h}")

    def test_a_list_or_a_value_takes_the_place_of_all_there_was(self, tmp_path: Path) -> None:
        assert self.json(tmp_path, '{ patch = { claudeAiOauth = ["x"] } }') == {
            "claudeAiOauth": ["x"]
        }

    def test_it_leaves_the_layer_itself_alone(self, tmp_path: Path) -> None:
        self.json(tmp_path / "a", '{ patch = { claudeAiOauth = "{absent}" } }')

        assert (
            self.json(tmp_path / "b", "{ patch = {} }")["claudeAiOauth"]["accessToken"]
            == "{secret}"
        )

    def home(self, directory: Path, files: str) -> dict[str, Entry]:
        """Return the entries of a home made of the bundled layer and of *files*, by path."""
        text = FAMILY.partition("[home]")[0] + '[home]\ninclude = ["claude-credentials"]\n'
        text += f'[variants.one]\nsummary = "One"\n{files}'
        return {one.path: one for one in load(directory, text).get("own/family/one").entries}

    def test_what_a_layer_has_can_lie_elsewhere(self, tmp_path: Path) -> None:
        line = 'home.files."a/b" = { moved = ".claude/.credentials.json", mode = "0644" }\n'

        found = self.home(tmp_path, line)

        assert list(found) == ["a/b"]
        assert found["a/b"].mode == 0o644
        assert json_of(found["a/b"])["claudeAiOauth"]["accessToken"] == "{secret}"

    def test_what_a_layer_has_can_lie_elsewhere_as_well(self, tmp_path: Path) -> None:
        found = self.home(tmp_path, 'home.files.a = { copied = ".claude/.credentials.json" }\n')

        assert list(found) == [".claude/.credentials.json", "a"]
        assert found["a"].content == found[".claude/.credentials.json"].content

    @pytest.mark.parametrize("key", ["moved", "copied"])
    def test_what_lies_elsewhere_can_be_changed_there(self, key: str, tmp_path: Path) -> None:
        change = "patch.claudeAiOauth.expiresAt = 0"
        line = f'home.files.a = {{ {key} = ".claude/.credentials.json", {change} }}\n'

        assert json_of(self.home(tmp_path, line)["a"])["claudeAiOauth"]["expiresAt"] == 0

    def test_a_link_can_take_its_place(self, tmp_path: Path) -> None:
        found = self.home(
            tmp_path,
            'home.files.a = { moved = ".claude/.credentials.json" }\n'
            'home.files.".claude/.credentials.json".symlink = "../a"\n',
        )

        assert {path: one.kind for path, one in found.items()} == {
            "a": "file",
            ".claude/.credentials.json": "symlink",
        }

    def test_only_what_a_layer_has_can_lie_elsewhere(self, tmp_path: Path) -> None:
        with pytest.raises(ConformanceError) as refused:
            self.home(tmp_path, 'home.files.a = { moved = ".claude/credentials.json" }\n')

        assert "home.files.a: no included layer has '.claude/credentials.json'; there is " in str(
            refused.value
        )

    def test_it_can_give_a_mode_as_well_and_keeps_that_of_the_layer(self, tmp_path: Path) -> None:
        text = (
            FAMILY.partition("[home]")[0]
            + '[home]\ninclude = ["claude-credentials"]\n[variants.one]\nsummary = "One"\n'
        )
        line = 'home.files.".claude/.credentials.json" = { patch = { a = 1 }, mode = "0644" }\n'

        [entry] = load(tmp_path, text + line).get("own/family/one").entries

        assert (entry.mode, json_of(entry)["a"]) == (0o644, 1)

    def test_there_has_to_be_something_to_patch(self, tmp_path: Path) -> None:
        text = FAMILY.replace("home.include = []", 'home.files.".claude/a" = { patch = { a = 1 } }')

        assert family_refusal(tmp_path, text) == (
            "variants.emptied.home.files..claude/a: there is no json of an included layer to patch"
        )

    def test_outside_of_a_patch_absent_is_no_placeholder(self, tmp_path: Path) -> None:
        text = FAMILY.replace(
            "home.include = []", 'home.files.".claude/a" = { json = { a = "{absent}" } }'
        )

        assert family_refusal(tmp_path, text).startswith(
            "variants.emptied.home.files..claude/a: unknown placeholder {absent}"
        )


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_pytest_shows_variants_as_parametrized_cases(tmp_path: Path, workers: str) -> None:
    load(tmp_path / "scenarios", FAMILY)

    done = run_pytest(
        tmp_path,
        "-c",
        os.devnull,
        "--rootdir",
        ".",
        "scenarios",
        "--conformance-probe",
        "true",
        "-v",
        "-n",
        workers,
    )

    assert done.returncode == 0, done.stdout
    for name in ("plain", "changed", "emptied"):
        assert f"scenarios/own/family.toml::slot[{name}]" in done.stdout
    one = run_pytest(
        tmp_path,
        "-c",
        os.devnull,
        "--rootdir",
        ".",
        "scenarios/own/family.toml::slot[plain]",
        "--conformance-probe",
        "true",
    )
    assert "1 passed" in one.stdout


@pytest.mark.slow
def test_run_takes_a_variant_a_glob_or_the_whole_file(tmp_path: Path) -> None:
    load(tmp_path, FAMILY)
    found = {}
    for asked in ("own/family/plain", "own/family/*", str(tmp_path / "own/family.toml")):
        words = [
            "run",
            asked,
            "--scenarios",
            str(tmp_path),
            "--probe",
            "true",
            "-n",
            "0",
            "--json",
            "-",
        ]
        done = suite(tmp_path, *words)
        found[asked] = [(row["id"], row["result"]) for row in json.loads(done.stdout)["scenarios"]]

    one, glob, file = found.values()
    assert one == [("own/family/plain", "conforms")]
    assert (
        glob
        == file
        == [(f"own/family/{name}", "conforms") for name in ("changed", "emptied", "plain")]
    )

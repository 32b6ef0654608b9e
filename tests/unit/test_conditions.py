"""The home with the opposite answer, for agents that the suite knows and for others."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import text_of
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.drivers.layout import opposite_home
from conformance.errors import FileError
from conformance.model.scenario import Scenario

OWN = replace(bundled()["preflight"], name="own", lineage=("own",), agents=("claude", "gemini"))


def scenario(file: Path, agent: str, *, variant: str = "") -> Scenario:
    return Scenario(
        id=f"mine/login/{variant}" if variant else "mine/login",
        file=str(file),
        summary="",
        origin="",
        agent=agent,
        control={},
        expect={"own": ("creds-missing",)},
        variant=variant,
    )


@pytest.mark.parametrize("variant", ["", "one"])
def test_the_good_login_of_an_agent_of_ones_own_is_a_layer_of_ones_own(
    tmp_path: Path, variant: str
) -> None:
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "gemini-credentials.toml").write_text(
        'summary = "A login"\n[files]\n"login" = "good"\n'
    )

    found = opposite_home(scenario(tmp_path / "mine/login.toml", "gemini", variant=variant), OWN)

    assert [(entry.path, text_of(entry)) for entry in found] == [("login", "good")]


def test_a_login_that_nobody_has_written_down_is_told_with_the_file_to_write(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine" / "login.toml"

    with pytest.raises(FileError) as caught:
        opposite_home(scenario(file, "gemini"), OWN)

    assert str(caught.value) == (
        f"{file}: no layer 'gemini-credentials', a good login of gemini; write it to {tmp_path}/layers/gemini-credentials.toml"
    )


def test_a_layer_that_is_wrong_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    file = tmp_path / "layers" / "gemini-credentials.toml"
    file.write_text("fils = 1\n")

    with pytest.raises(FileError, match="unknown key") as caught:
        opposite_home(scenario(tmp_path / "mine/login.toml", "gemini"), OWN)

    assert caught.value.file == str(file)

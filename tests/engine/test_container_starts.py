"""Entrypoints of images on a real engine: what they start, what they write first, and what cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from factories import bundled_catalogue
from support_image import Images, judged, messages, notes, row, rows, run

from conformance.bundled import fixtures_dir

CONTRACT = ("--contract", "entrypoint")
PARTS = 3
#: Every part has these: a program that is named by its path, a shell, a second start, a CLI that hangs.
EACH = ("starts/smoke-test-claude", "exit-code/shell", "again/refreshed", "cli/hangs")
UNKNOWN = "AGENT_MODE is unknown: it must be interactive, worker, auth-init or smoke-test"


@pytest.fixture
def images(engine: docker.DockerClient, reference_image: str) -> Iterator[Images]:
    with Images(engine, reference_image) as made:
        yield made


@pytest.mark.slow
@pytest.mark.in_turn(PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_reference_image_conforms(reference_image: str, part: int, tmp_path: Path) -> None:
    """What is shown here in parts is the whole contract."""
    catalogue = bundled_catalogue()
    whole = [one.id for one in catalogue.in_contract(catalogue.contracts["entrypoint"])]
    chosen = {*whole[part::PARTS], *(f"entrypoint/{id_}" for id_ in EACH)}

    status, report, printed = run(reference_image, *CONTRACT, *sorted(chosen), cwd=tmp_path)

    assert status == 0, printed
    assert report["counts"]["conforms"] == len(chosen)


@pytest.mark.in_turn(4)
def test_each_vice_of_one_image_is_named(images: Images, tmp_path: Path) -> None:
    """The image runs a mode nobody knows, makes an empty login, fills in the HOME first, and waits for its CLI.

    Its CLI and its probe are called by their paths, and PATH is set anew: the stubs are there all the same.
    """
    text = (fixtures_dir() / "probes" / "entrypoint.sh").read_text()
    edits = {
        f"*) die '{UNKNOWN}' ;;": '*) set -- "/usr/local/bin/$AGENT_MODE" "$@" ;;',
        "agent=${AGENT-${WOVED_TASK_AGENT-}}\n": "agent=${AGENT-${WOVED_TASK_AGENT-}}\n(baseline)\nPATH=/usr/local/bin:/usr/bin:/bin\n",
        'exec "$@"\n': '[ "$agent" = claude ] || [ -e "$HOME/.codex/auth.json" ] || : > "$HOME/.codex/auth.json"\n"/usr/local/bin/$agent" --version\nexec "$@"\n',
    }
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    image = images.like_reference({"/entry": text.encode()}, entrypoint=["/entry"], cmd=["--quiet"])
    (tmp_path / "own.toml").write_text(
        'name = "own"\nversion = "1"\nsummary = "s"\nextends = "entrypoint"\n[limits]\nseconds = 6\n'
    )
    ids = ["mode/program", "no-session/nothing-there", "cli/hangs", "exit-code/worker"]
    chosen = [f"entrypoint/{id_}" for id_ in ids]

    status, report, printed = judged(
        image, tmp_path, "--contract", "own.toml", "--isolation", "shared", *chosen
    )

    assert status == 1, printed
    assert notes(printed) == [
        "an entrypoint starts first in a container: each scenario has a container of its own"
    ]
    assert rows(report) == {
        "entrypoint/mode/program": ("deviates", 0, ("wrong-verdict", "side-effect")),
        "entrypoint/no-session/nothing-there": ("deviates", 0, ("wrong-seed",)),
        "entrypoint/cli/hangs": ("deviates", None, ("timed-out",)),
        # An image has arguments of its own, which its entrypoint hands on.
        "entrypoint/exit-code/worker": ("conforms", 7, ()),
    }
    assert messages(report, "entrypoint/mode/program")["wrong-verdict"] == (
        "expected exit code 1 with nothing started, got '/usr/local/bin/claude --continue' started, and exit code 0"
    )
    assert (
        "'/usr/local/bin/codex --quiet' started"
        in row(report, "entrypoint/no-session/nothing-there")["steps"][0]["got"]
    )


def test_what_no_stub_can_show_is_unsupported(images: Images, tmp_path: Path) -> None:
    """An image without a shell, and with a program for its entrypoint that never runs here."""
    image = images.of({"/entry": b"\x7fELF"}, entrypoint=["/entry"], user="10001")

    status, report, printed = judged(image, tmp_path, *CONTRACT, "entrypoint/starts/worker-claude")

    assert status == 3, printed
    assert row(report, "entrypoint/starts/worker-claude")["result"] == "unsupported"
    assert row(report, "entrypoint/starts/worker-claude")["reason"] == (
        "stubs are shell scripts, and the image has no shell"
    )

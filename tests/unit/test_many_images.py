"""What ``run`` makes of several images: which they are, where reports go, what is refused."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support_cli import call
from support_many import World

from conformance.cli.images_file import image_name
from conformance.run import many

IN_NONE = "since it was in no registry yet; push it first"
CHOSEN = "merge the shards of a run in which nothing chose among them"
TWO = ("--image", "a:1", "--image", "b:1")
FEW = ("agent/unmapped", "claude/baseline-only", "-n", "0")
FILE = """
[images.first]
image = "a:1"
agent = "claude"
env = { REGION = "eu" }

[images.second]
image = "b:1"
contract = "slot-strict"
user = "10001"
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path / "world")
    monkeypatch.setattr(many, "open_run", made.open_run)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    return place


def document(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def test_each_image_has_its_reports_in_the_directory(world: World, project: Path) -> None:
    world.wrong = {("b:1", "claude/baseline-only")}
    files = ("--json", "out", "--junit", "out", "--html", "pages/all", "--summary", "s.json")

    done = call(project, "run", *TWO, *FEW, *files)

    assert done.returncode == 1, done.stdout + done.stderr
    assert sorted(os.listdir(project / "out")) == ["a-1.json", "a-1.xml", "b-1.json", "b-1.xml"]
    assert sorted(os.listdir(project / "pages/all")) == ["a-1.html", "b-1.html", "index.html"]
    good, bad = (document(project / f"out/{name}.json") for name in ("a-1", "b-1"))
    assert (good["conformant"], bad["conformant"]) == (True, False)
    index = (project / "pages/all/index.html").read_text()
    assert re.findall('href="([^#"]*[.]html)"', index) == ["a-1.html", "b-1.html"]
    repeat = next(row["repeat"] for row in bad["scenarios"] if row["result"] == "deviates")
    assert repeat == ["probe-conformance", "repro", "claude/baseline-only", "--image", "b:1"]
    summary = document(project / "s.json")
    assert [(run["name"], run["exit_status"]) for run in summary["runs"]] == [
        ("a-1", 0),
        ("b-1", 1),
    ]
    assert summary["runs"][0]["files"] == {
        "json": "out/a-1.json",
        "junit": "out/a-1.xml",
        "html": "pages/all/a-1.html",
    }
    assert "They differ in 1 scenario of those that all have" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 images: 1 conformant, 1 not conformant"


def test_a_file_says_what_is_particular_to_each(
    world: World, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE", "own")
    (project / "images.toml").write_text(f'{FILE}pass-env = ["STAGE"]\n')
    world.wrong = {("b:1", "claude/nested-session")}
    ids = ("claude/nested-session", "claude/baseline-only", "-n", "0")
    common = ("--env", "REGION=us", "--env", "STAGE=ci")

    done = call(project, "run", "--images", "images.toml", *ids, *common, "--json", "out")

    assert done.returncode == 1, done.stdout + done.stderr
    first, second = (world.requests[name] for name in ("a:1", "b:1"))
    assert (first.contract, first.agent, first.variables) == (
        *("slot", "claude"),
        {"REGION": "eu", "STAGE": "ci"},
    )
    assert (second.contract, second.agent, second.variables) == (
        *("slot-strict", ""),
        {"REGION": "us", "STAGE": "own"},
    )
    assert second.image is not None
    assert second.image.user == "10001"
    bad = document(project / "out/second.json")
    repeat = next(row["repeat"] for row in bad["scenarios"] if row["result"] == "deviates")
    assert repeat == [
        *("probe-conformance", "repro", "claude/nested-session", "--image", "b:1"),
        *("--user", "10001", "--contract", "slot-strict"),
        *("--env", "REGION=us", "--pass-env", "STAGE"),
    ]


def test_a_settings_file_may_name_the_images(world: World, project: Path) -> None:
    (project / "checks").mkdir()
    (project / "checks/images.toml").write_text(FILE)
    (project / "probe-conformance.toml").write_text(
        'images = "checks/images.toml"\njson = "out"\nsummary = "s.json"\nisolation = "shared"\n'
    )

    done = call(project, "run", *FEW)

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(os.listdir(project / "out")) == ["first.json", "second.json"]
    assert (project / "s.json").exists()
    assert "settings: probe-conformance.toml (images, isolation, json, summary)" in done.stdout
    shared = {request.image.isolation for request in world.requests.values() if request.image}
    assert shared == {"shared"}


def test_one_image_in_the_settings_is_one_word(project: Path) -> None:
    (project / "probe-conformance.toml").write_text('image = "A B"\n')

    done = call(project, "run", *FEW)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("probe-conformance: 'A B' is not an image reference")


def test_images_that_are_typed_take_the_place_of_those_in_the_settings(
    world: World, project: Path
) -> None:
    (project / "probe-conformance.toml").write_text('images = "images.toml"\n')

    done = call(project, "run", *TWO, *FEW)

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(world.requests) == ["a:1", "b:1"]


def test_known_failures_are_those_of_each_image(world: World, project: Path) -> None:
    """One entry for two images would be stale for the other."""
    world.wrong = {("b:1", "claude/baseline-only")}

    first = call(project, "run", *TWO, *FEW, "--write-known-failures", "known")
    second = call(project, "run", *TWO, *FEW, "--known-failures", "known")

    assert first.returncode == 1, first.stderr
    assert sorted(os.listdir(project / "known")) == ["a-1.toml", "b-1.toml"]
    assert second.returncode == 0, second.stdout + second.stderr
    again = call(project, "run", *TWO, *FEW, "--write-known-failures", "known")
    assert again.returncode == 2
    assert "known/a-1.toml is there already" in again.stderr


def test_a_baseline_is_a_directory_of_reports(world: World, project: Path) -> None:
    world.wrong = {("b:1", "claude/baseline-only")}
    assert call(project, "run", *TWO, *FEW, "--json", "last").returncode == 1

    same = call(project, "run", *TWO, *FEW, "--baseline", "last")
    world.wrong |= {("a:1", "agent/unmapped")}
    worse = call(project, "run", *TWO, *FEW, "--baseline", "last")

    assert (same.returncode, worse.returncode) == (0, 1), same.stdout + worse.stdout


def test_lines_for_programs_say_which_image_it_is(world: World, project: Path) -> None:
    world.wrong = {("b:1", "claude/baseline-only")}

    concise = call(project, "run", *TWO, *FEW, "--output-format", "concise")
    github = call(project, "run", *TWO, *FEW, "--output-format", "github")

    (line,) = concise.stdout.splitlines()
    assert line.startswith("b-1: claude/baseline-only: ")
    (line,) = github.stdout.splitlines()
    assert line.startswith("::error ")
    assert line.partition("::b-1: ")[2], line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*TWO, "--json", "-"), "--json standard output cannot hold reports of several images"),
        ((*TWO, "--junit", "file"), "--junit file cannot hold reports of several images"),
        ((*TWO, "--output-format", "sarif"), "sarif is one document about one image"),
        ((*TWO, "--last-failed", "file"), "--last-failed is about one image"),
        ((*TWO, "--baseline", "file"), "--baseline is one report, and there are several images"),
        ((*TWO, "--image", "a:1"), "--image a:1 is named twice"),
        ((*TWO, "--image", "A B"), "A-B: 'A B' is not an image reference"),
        ((*TWO, "--images", "i.toml"), "--image and --images both name images"),
        (("--images", "i.toml"), "no file i.toml; name a file of images"),
        (("--images", "i.toml", "--probe", "true"), "name two kinds of probes"),
        ((*TWO, "--probe", "true"), "--probe and --image name two probes"),
        (("--image", "a:1", "--summary", "s.json"), "--summary is about several images"),
        ((*TWO, "--summary", "no/s.json"), "no directory"),
        ((*TWO, "--agent", "ghost"), "a-1: "),
        ((*TWO, "--attest", "out"), "a-1: --attest is about all scenarios of the contract"),
        ((*TWO, "--attest", "-"), "--attest standard output cannot hold reports of several"),
    ],
)
def test_what_cannot_be_is_one_line(
    world: World, project: Path, arguments: tuple[str, ...], said: str
) -> None:
    (project / "file").write_text("")

    done = call(project, "run", "agent/unmapped", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert world.requests == {}
    assert sorted(os.listdir(project)) == ["file"]


def test_images_that_share_no_scenario_are_told_so_and_have_a_page(
    world: World, project: Path
) -> None:
    file = '[images.one]\nimage = "a:1"\nagent = "claude"\n[images.two]\nimage = "b:1"\nagent = "codex"\n'
    (project / "images.toml").write_text(file)
    words = ("c*/*/empty", "-n", "0", "--html", "pages")

    done = call(project, "run", "--images", "images.toml", *words)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "No scenario was judged in all of them, so they are not compared" in done.stdout
    index = (project / "pages/index.html").read_text()
    assert "<h1>They have no scenario in common</h1>" in index
    assert 'href="two.html"' in index


def test_a_page_of_all_says_which_was_not_judged(world: World, project: Path) -> None:
    world.missing = {"a:1"}

    done = call(project, "run", *TWO, *FEW, "--html", "pages")

    assert done.returncode == 3
    assert sorted(os.listdir(project / "pages")) == ["b-1.html", "index.html"]
    index = (project / "pages/index.html").read_text()
    assert "a-1 was not judged: no image &#39;a:1&#39; on this engine." in index
    assert "No scenario was judged in all" not in done.stdout


def test_a_summary_says_what_could_not_be_written(world: World, project: Path) -> None:
    """An image without a shell cannot show each scenario, and nobody is to sign that it did."""
    world.digests = {name: [f"a@sha256:{'a' * 64}"] for name in ("a:1", "b:1")}
    world.lacking = {("b:1", "codex/api-key")}
    words = ("--agent", "codex", "--fail-on-unsupported", "--attest", "out", "--summary", "s.json")

    done = call(project, "run", *TWO, "-n", "0", *words)

    summary = document(project / "s.json")
    why = "b-1: no attestation: 1 scenario cannot be had here"
    assert done.stderr == f"probe-conformance: {why}\n"
    assert (done.returncode, summary["exit_status"], summary["unwritten"]) == (3, 3, [why])
    assert [run["exit_status"] for run in summary["runs"]] == [0, 1]
    assert [run["files"] for run in summary["runs"]] == [{"attest": "out/a-1.intoto.json"}, {}]


def test_pytest_runs_one_image_only(
    world: World, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["probe-conformance", "run", *TWO, "--", "-k", "x"])

    done = call(project, *sys.argv[1:])

    assert done.returncode == 2
    assert "arguments for pytest are for one image" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "images: missing"),
        ("[images]", "images: "),
        ("[images.a]", "images.a.image: missing"),
        ('[images.a]\nimage = "x"\nprobe = "y"', "images.a.probe: unknown key"),
        ('[images."a/b"]\nimage = "x"', "images: 'a/b' is no name of a report"),
        ('[images.index]\nimage = "x"', "images.index: its reports would be called"),
        ('[images.a]\nimage = "x"\n[images.A]\nimage = "y"', "called as those of 'a'"),
        (
            '[images.a]\nimage = "x"\npass-env = ["Q"]\nenv = { Q = "1" }',
            "images.a.pass-env: 'Q' is in env as well",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_file_and_key(
    world: World, project: Path, text: str, said: str
) -> None:
    (project / "images.toml").write_text(text)

    done = call(project, "run", "--images", "images.toml")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "images.toml: " in line
    assert said in line


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("slot:1", "slot-1"),
        ("localhost:5000/team/slot", "localhost-5000-team-slot"),
        (f"slot@sha256:{'a' * 64}", "slot-aaaaaaaaaaaa"),
        (f"slot:1@sha256:{'a' * 64}", "slot-1"),
    ],
)
def test_an_image_is_called_by_what_people_know_it_by(reference: str, name: str) -> None:
    assert image_name(reference) == name


def test_names_that_would_be_the_same_get_numbers(world: World, project: Path) -> None:
    images = ("--image", "team/a:1", "--image", "team-a:1", "--image", "index")

    done = call(project, "run", *images, *FEW, "--json", "out")

    assert done.returncode == 0, done.stdout + done.stderr
    names = ["index-2.json", "team-a-1-2.json", "team-a-1.json"]
    assert sorted(os.listdir(project / "out")) == names


def test_each_shard_has_its_part_of_every_image(world: World, project: Path) -> None:
    shards = [
        call(project, "run", *TWO, *FEW, "--shard", f"{n}/2", "--json", f"shard-{n}")
        for n in (1, 2)
    ]

    assert [done.returncode for done in shards] == [0, 0], shards[0].stdout + shards[0].stderr
    for name in ("a-1", "b-1"):
        parts = [f"shard-{n}/{name}.json" for n in (1, 2)]
        merged = call(project, "merge", *parts, "-o", f"{name}.json")
        assert merged.returncode == 0, merged.stderr
        ids = [row["id"] for row in document(project / f"{name}.json")["scenarios"]]
        assert sorted(ids) == ["agent/unmapped", "claude/baseline-only"]


def test_an_attestation_needs_a_digest_of_each(world: World, project: Path) -> None:
    """The other images are judged all the same."""
    world.digests = {"a:1": [f"a@sha256:{'a' * 64}"]}

    done = call(project, "run", *TWO, "-n", "0", "--agent", "codex", "--attest", "out")

    assert done.returncode == 2, done.stdout + done.stderr
    assert "has no digest, since it was in no registry yet" in done.stdout
    assert os.listdir(project / "out") == ["a-1.intoto.json"]


def statements(world: World, project: Path, *words: str) -> dict[str, Any]:
    """Return what a run of both images attests, and what its two shards do once they are merged; but for the time."""
    world.digests = {name: [f"a@sha256:{'a' * 64}"] for name in ("a:1", "b:1")}
    run = ("run", *TWO, "-n", "0", *words)
    assert call(project, *run, "--attest", "whole").returncode in (0, 1)
    for index in (1, 2):
        call(project, *run, "--shard", f"{index}/2", "--json", f"shard-{index}")
    done = call(project, "merge", "shard-1/b-1.json", "shard-2/b-1.json", "--attest", "all.json")
    assert done.returncode in (0, 1), done.stderr
    found = {}
    for name, file in (("whole", "whole/b-1.intoto.json"), ("merged", "all.json")):
        found[name] = document(project / file)
        del found[name]["predicate"]["configuration"][-1]["annotations"]["started"]
    return found


def test_all_shards_together_attest_what_the_whole_run_does(world: World, project: Path) -> None:
    world.wrong = {("b:1", "codex/api-key")}

    found = statements(world, project, "--agent", "codex", "--env", "REGION=eu")

    assert found["merged"] == found["whole"]
    predicate = found["merged"]["predicate"]
    assert (predicate["result"], predicate["failedTests"]) == ("FAILED", ["codex/api-key"])
    assert predicate["configuration"][-1]["annotations"]["variables"] == ["REGION"]


def test_shards_that_are_not_about_all_of_a_contract_attest_nothing(
    world: World, project: Path
) -> None:
    for index in (1, 2):
        part = ("--shard", f"{index}/2", "--json", f"shard-{index}")
        assert call(project, "run", *TWO, *FEW, *part).returncode == 0
    reports = ("merge", "shard-1/a-1.json", "shard-2/a-1.json", "--attest", "all.json")

    unknown = call(project, *reports)
    world.digests = {"a:1": [f"a@sha256:{'a' * 64}"]}
    for index in (1, 2):
        part = ("--shard", f"{index}/2", "--json", f"shard-{index}")
        assert call(project, "run", *TWO, *FEW, *part).returncode == 0
    few = call(project, *reports)

    assert [(done.returncode, done.stdout, done.stderr) for done in (unknown, few)] == [
        (2, "", f"probe-conformance: --attest: image 'a:1' has no digest, {IN_NONE}\n"),
        (2, "", f"probe-conformance: --attest is about all scenarios of the contract; {CHOSEN}\n"),
    ]
    assert not (project / "all.json").exists()

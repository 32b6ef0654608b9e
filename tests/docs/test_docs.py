"""The pages say what is so: help texts, the schema, commands and their output."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click
import docker
import pytest
from click.testing import CliRunner
from support import without
from support_cli import suite
from support_image import PROBE, RIGHT, Images, judged
from support_image import rows as answers

import conformance.cli
from conformance.catalogue import contracts
from conformance.cli import COMMANDS, cli
from conformance.drivers import Driver
from conformance.wiring.example import example
from conformance.wiring.findings import RULES

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SCENARIO = """\
summary = "A login that the vault writes counts"
origin = "the vault's own way of handing out credentials"
agent = "claude"
control = "claude/baseline-only"

[expect]
slot = "ready"

[home]
include = ["claude-baseline"]

[home.files]
".claude/vault/login" = "{secret}"
"""


def generated(page: Path, text: str) -> None:
    """Hold *page* against the generated *text*, or write it where the caller asks for that."""
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text, (
        f"write it anew: UPDATE_DOCS=1 pytest {Path(__file__).relative_to(ROOT)}"
    )


def commands(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of *command*, and of all that lie below it."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, *words, name)


def help_page() -> str:
    """Return the page of all help texts."""
    parts = ["# Commands\n\nThe texts of `--help`.\n"]
    for words in commands(cli):
        shown = CliRunner().invoke(
            cli, [*words, "--help"], prog_name="probe-conformance", terminal_width=100
        )
        assert shown.exit_code == 0
        parts.append(
            f"## {' '.join(['probe-conformance', *words])}\n\n```text\n{shown.output.rstrip()}\n```\n"
        )
    return "\n".join(parts)


def test_the_help_page_is_up_to_date() -> None:
    generated(ROOT / "docs" / "cli.md", help_page())


def ends(command: click.Command, *words: str) -> Iterator[str]:
    """Yield what is typed for *command*, or for each that lies below it."""
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from ends(below, *words, name)
    else:
        yield " ".join(words)


def test_readme_help_and_page_have_every_command_in_the_same_order() -> None:
    defined: dict[str, click.Command] = {}
    for info in pkgutil.iter_modules(conformance.cli.__path__):
        module = importlib.import_module(f"conformance.cli.{info.name}")
        found = [each for each in vars(module).values() if isinstance(each, click.Command)]
        # What lies below a group is not typed alone.
        below = [
            each
            for group in found
            if isinstance(group, click.Group)
            for each in group.commands.values()
        ]
        defined |= {str(each.name): each for each in found if each not in below}
    words = [typed for name in COMMANDS for typed in ends(defined[name], name)]
    readme = (ROOT / "README.md").read_text()
    page = (ROOT / "docs" / "cli.md").read_text()
    shown = CliRunner().invoke(cli, ["--help"]).output.partition("\nCommands:\n")[2]

    assert sorted(defined) == sorted(COMMANDS)
    assert re.findall(r"^  (\S+)  ", shown, re.MULTILINE) == list(COMMANDS)
    assert re.findall(r"^\| `probe-conformance ([a-z ]*[a-z])", readme, re.MULTILINE) == words
    titles = re.findall(r"^## probe-conformance (.+)$", page, re.MULTILINE)
    assert [title for title in titles if title in words] == words
    assert {title.partition(" ")[0] for title in titles} == {*COMMANDS}


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    commands = re.findall(r"^```sh\n(.+)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE)
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert len(commands) == 2
    assert [command for command in commands if command not in script] == []


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of *page* that are marked as *kind*."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def steps(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output that stands below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def matches(shown: str, printed: str) -> bool:
    """Return whether a page shows what was *printed*: … stands for a part of a line, and alone on a line for any lines."""
    lines = [
        "(?:.*\n)*?" if line == "…" else f"{re.escape(line).replace('…', '.*')}\n"
        for line in shown.strip().split("\n")
    ]
    return re.fullmatch("".join(lines), f"{printed.strip()}\n") is not None


CONSOLES = [
    pytest.param(command, output, id=f"{page.stem}-{command[:60]}")
    for page in PAGES
    for block in blocks(page, "console")
    for command, output in steps(block)
]


@pytest.mark.parametrize(("command", "output"), CONSOLES)
def test_commands_print_what_the_pages_show(command: str, output: str, tmp_path: Path) -> None:
    (tmp_path / "checks/scenarios/acme").mkdir(parents=True)
    (tmp_path / "checks/scenarios/acme/vault-file.toml").write_text(SCENARIO)
    (tmp_path / "smoke_probe.py").write_text(blocks(ROOT / "README.md", "python")[0])
    words = shlex.split(command)
    assert words[0] == "probe-conformance"
    done = suite(tmp_path, *words[1:], merged=True, timeout=120)
    assert matches(output, done.stdout), f"status {done.returncode}\n{done.stdout}"


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\nc\nb\n", False),
        ("a …", "a b c\n", True),
        ("a …", "a b\nc\n", False),
        ("a\n…\nb", "a\nb\n", True),
        ("a\n…\nb", "a\nx\n\ny\nb\n", True),
        ("a\n…\nb", "a\nxb\n", False),
        ("…\nb", "b\n", True),
        ("…\nb", "a\nb\n", True),
        ("a\n…", "a\n", True),
        ("a\n…", "a\nb\nc\n", True),
        ("a\n…", "b\n", False),
        ("", "", True),
        ("", "a\n", False),
        ("(x) [y] …", "(x) [y] *", True),
    ],
)
def test_three_dots_stand_for_what_varies(shown: str, printed: str, fits: bool) -> None:
    assert matches(shown, printed) == fits


class Shown(NamedTuple):
    """One thing that a page shows: a file as it is from here on, or a command with its output."""

    name: str = ""
    content: str = ""
    command: str = ""
    output: str = ""


def told(text: str) -> list[Shown]:
    """Return what the page *text* shows, in order.

    A file is a block below a line that is nothing but its name. Shown again, it takes the place of the earlier one;
    a block of the kind ``diff`` changes that one.
    """
    files: dict[str, str] = {}
    found = []
    for name, kind, content in re.findall(
        r"^(?:`([^`\n]+)`:\n\n)?```(\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        if kind == "console-session":
            found += [Shown(command=command, output=output) for command, output in steps(content)]
        elif name:
            files[name] = changed(files[name], content) if kind == "diff" else content
            found.append(Shown(name, files[name]))
    return found


def changed(text: str, diff: str) -> str:
    """Return *text* after *diff*, a hunk without a header: what it takes away stands there once."""
    lines = [(line[:1], f"{line[1:]}\n") for line in diff.splitlines()]
    old = "".join(line for sign, line in lines if sign != "+")
    assert {sign for sign, _ in lines} <= {"+", "-", " "}
    assert text.count(old) == 1, old
    return text.replace(old, "".join(line for sign, line in lines if sign != "-"))


def session(page: Path, directory: Path, names: Mapping[str, str] | None = None) -> None:
    """Write the files that *page* shows, and type its commands, one after the other, into one shell.

    A file is there from the start, and a later version of it from where that is shown.
    *names* of images stand for others on this machine.
    """

    def real(text: str) -> str:
        for name, stand_in in (names or {}).items():
            text = text.replace(name, stand_in)
        return text

    shown = told(page.read_text())
    todo = [(real(each.command), real(each.output)) for each in shown if each.command]
    assert todo
    for name, called in (
        ("probe-conformance", "conformance"),
        ("pytest", "pytest -p no:cacheprovider"),
    ):
        program = directory / ".bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {called} "$@"\n')
        program.chmod(0o755)
    mark = "-- the next command --"
    script = ""
    for number, each in enumerate(shown):
        file = directory / each.name
        if each.command:
            # The mark does not come between a command and the $? of the next one.
            script += f"{real(each.command)}\nstatus=$?; echo '{mark}'; (exit $status)\n"
        elif file.exists():
            (directory / ".bin" / f"{number}").write_text(each.content)
            script += f"cat .bin/{number} > {shlex.quote(each.name)}; (exit $status)\n"
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(each.content)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    printed = done.stdout.split(f"{mark}\n")
    assert len(printed) == len(todo) + 1
    wrong = [
        f"$ {command}\n{got}\nbut the page shows\n{shown}"
        for (command, shown), got in zip(todo, printed, strict=False)
        if not matches(shown, got)
    ]
    assert wrong == [], "\n".join(wrong)


def test_a_file_that_a_page_shows_again_is_another_from_there_on() -> None:
    page = "`a`:\n\n```sh\n1\n2\n```\n\n```console-session\n$ cat a\n1\n2\n```\n\n`a`:\n\n```diff\n 1\n-2\n+3\n```\n"
    assert told(page) == [
        Shown("a", "1\n2\n"),
        Shown(command="cat a", output="1\n2\n"),
        Shown("a", "1\n3\n"),
    ]
    with pytest.raises(AssertionError):
        changed("1\n2\n", "-3\n")


@pytest.mark.slow
@pytest.mark.in_turn(10)
@pytest.mark.parametrize(
    "page",
    [
        *("entrypoint", "export", "for-managers", "for-reviewers", "gates", "in-process", "login"),
        *("over-time", "page", "settings", "shards", "strength", "wiring", "write-a-probe"),
        "your-contract",
    ],
)
def test_a_page_is_what_happens(page: str, tmp_path: Path) -> None:
    session(ROOT / "docs" / f"{page}.md", tmp_path)


#: The finished probes of the page for those who write one.
FINISHED = {"probe.sh": "sh", "probe.mjs": "node"}
#: All kinds of agents, homes and CLIs, without those that take seconds.
SAMPLE = ["agent/*", "claude/*un*", "codex/*utf*", "cli/exit*"]

#: Results of a right probe: a scenario that only an image can show does not run here.
GOOD = {"conforms", "unsupported"}


def found_in_finished_probe(name: str, directory: Path, *chosen: str) -> tuple[dict[str, str], int]:
    """Return the scenarios of *chosen* in which the finished probe *name* does not conform, and the number of all."""
    page = (ROOT / "docs" / "write-a-probe.md").read_text()
    versions = [shown.content for shown in told(page) if shown.name == name]
    assert len(versions) > 2
    (directory / name).write_text(versions[-1])
    interpreter = shutil.which(FINISHED[name]) or without(FINISHED[name])
    probe = shlex.join([interpreter, name])
    done = suite(directory, "run", "--strict", "--json", "report.json", "--probe", probe, *chosen)
    rows = json.loads((directory / "report.json").read_text())["scenarios"]
    wrong = {row["id"]: row["result"] for row in rows if row["result"] not in GOOD}
    assert (done.returncode == 0) == (wrong == {})
    return wrong, len(rows)


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_probe_conforms_in_a_sample(name: str, tmp_path: Path) -> None:
    wrong, tried = found_in_finished_probe(name, tmp_path, *SAMPLE)

    assert wrong == {}
    assert tried > 25


@pytest.mark.slow
@pytest.mark.in_turn(6)
@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_probe_conforms_in_every_scenario(name: str, tmp_path: Path) -> None:
    wrong, tried = found_in_finished_probe(name, tmp_path)

    assert wrong == {}
    assert tried > 450


@pytest.mark.slow
@pytest.mark.in_turn(10)
def test_the_finished_probe_answers_in_an_image(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "write-a-probe.md").read_text()
    shown = {each.name: each.content.encode() for each in told(page) if each.name}
    files = {f"/opt/slot/{name}": shown[name] for name in ("probe.sh", "entrypoint.sh")}
    entrypoint = re.findall(r"^ENTRYPOINT (.+)$", page, re.MULTILINE)
    with Images(engine, reference_image) as images:
        image = images.like_reference(files, entrypoint=json.loads(entrypoint[0]))
        status, report, printed = judged(image, tmp_path, *RIGHT)

    assert (status, answers(report)) == (0, RIGHT), printed


@pytest.mark.slow
def test_the_examples_for_contributors_are_what_happens(tmp_path: Path) -> None:
    """They add files to a copy of the checkout: python finds the package in the current directory first."""
    for name in ("conformance", "fixtures", "scenarios"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))

    session(ROOT / "CONTRIBUTING.md", tmp_path)


def test_contributors_are_told_of_every_room() -> None:
    table = (
        (ROOT / "CONTRIBUTING.md").read_text().partition("| room | holds |")[2].partition("\n\n")[0]
    )
    package = ROOT / "conformance"
    rooms = {file.parent.name for file in package.glob("*/__init__.py")} | {
        file.stem for file in package.glob("[a-z]*.py")
    }
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == rooms


def test_contributors_are_told_of_every_method_of_a_driver() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a driver")[2]
    methods = {name for name in vars(Driver) if not name.startswith("_")}
    assert set(re.findall(r"^- `(\w+)` ", section, re.MULTILINE)) == methods


@pytest.mark.in_turn(10)
@pytest.mark.slow
def test_the_page_of_pipelines_is_what_happens(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    wrong = (
        b"#!/usr/bin/env python3\n"
        + blocks(ROOT / "docs" / "for-reviewers.md", "python")[0].encode()
    )
    with Images(engine, reference_image) as images:
        names = {
            "slot-image:ci": reference_image,
            "slot-image:next": images.like_reference({PROBE: wrong}),
        }
        session(ROOT / "docs" / "for-pipelines.md", tmp_path, names)


@pytest.mark.in_turn(10)
@pytest.mark.slow
def test_an_image_that_knows_no_mode_is_asked_as_the_page_says(
    engine: docker.DockerClient, reference_image: str, tmp_path: Path
) -> None:
    files = {
        "/opt/slot/start.sh": b'#!/bin/sh\nexec "$@"\n',
        "/opt/slot/worker.sh": b"#!/bin/sh\nexit 3\n",
        "/opt/slot/probe.sh": f'#!/bin/sh\nexec {PROBE} "$@"\n'.encode(),
    }
    with Images(engine, reference_image) as images:
        image = images.like_reference(
            files, entrypoint=["/opt/slot/start.sh"], cmd=["/opt/slot/worker.sh"]
        )
        session(ROOT / "docs" / "images.md", tmp_path, {"plain-image:ci": image})


def test_every_page_with_a_session_is_run() -> None:
    assert {page.name for page in PAGES if blocks(page, "console-session")} == {
        "CONTRIBUTING.md",
        "entrypoint.md",
        "export.md",
        "for-managers.md",
        "for-pipelines.md",
        "for-reviewers.md",
        "gates.md",
        "images.md",
        "in-process.md",
        "login.md",
        "many-images.md",
        "over-time.md",
        "page.md",
        "settings.md",
        "shards.md",
        "strength.md",
        "wiring.md",
        "write-a-probe.md",
        "your-contract.md",
    }


def test_the_page_about_manifests_has_the_right_one_and_every_rule() -> None:
    page = (ROOT / "docs" / "wiring.md").read_text()
    rows = [f"| `{name}` | {rule.level} | {rule.text} |" for name, rule in RULES.items()]

    assert f"```yaml\n{example(contracts.load('slot'))}```\n" in page
    assert re.findall(r"^\| `[a-z0-9-]+` \| (?:must|should) \| .*$", page, re.MULTILINE) == rows


def test_no_page_gives_a_probe_the_name_of_a_test_module() -> None:
    """pytest would import such a probe, and so run it."""
    probes = [
        found
        for page in PAGES
        for found in re.findall(
            r"--(?:conformance-)?probe\W+(?:python3 )?(\S+?\.py)\b", page.read_text()
        )
    ]
    assert "smoke_probe.py" in map(os.path.basename, probes)
    assert [name for name in probes if re.search(r"(^|/)test_|_test\.py$", name)] == []


def test_links_between_pages_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    ]
    inside = [(page, target) for page, target in links if not target.startswith("https://")]
    assert inside
    assert [
        f"{page.name}: {target}" for page, target in inside if not (page.parent / target).exists()
    ] == []


def test_the_readme_leads_to_every_page() -> None:
    """The sidebar of the site is made from these links."""
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", (ROOT / "README.md").read_text()))
    assert {str(page.relative_to(ROOT)) for page in PAGES} - {"README.md"} == linked


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of *page*."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = found.count(slug)
        found += [slug, f"{slug}-{number}"] if number else [slug]
    return set(found)


def test_links_to_headings_lead_somewhere() -> None:
    """The site takes other spellings of an anchor as well; GitHub does not."""
    links = [
        (page, page.parent / target if target else page, anchor)
        for page in PAGES
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text())
    ]
    assert len(links) > 50
    assert [
        f"{page.name}: #{anchor}" for page, target, anchor in links if anchor not in anchors(target)
    ] == []


def test_prose_is_wrapped_at_120_columns() -> None:
    """Tables, links that cannot be split and what stands in a block are as long as they are."""
    long = []
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        lines = [line for line in prose.splitlines() if len(line) > 120]
        long += [f"{page.name}: {line}" for line in lines if not re.match(r"\||    |\S+$", line)]
    assert long == []


def test_ci_builds_the_site_as_tox_does() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    script = (ROOT / ".ci" / "run").read_text()

    assert f"\n.venv/bin/{tox['testenv:site']['commands']} #" in script
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert tox["testenv:site"]["deps"].split() == asked["optional-dependencies"]["site"]


def test_exit_codes_on_the_contracts_page_are_those_of_the_contract() -> None:
    page = (ROOT / "docs" / "contracts.md").read_text()
    for verdict in contracts.load("slot").verdicts:
        assert re.search(rf"^\| `{verdict.name}` \| {verdict.codes[0]} \|", page, re.MULTILINE)


def test_the_golden_login_on_the_page_is_the_layer() -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text()
    layer = (ROOT / "fixtures" / "layers" / "claude-credentials.toml").read_text()
    assert textwrap.indent(layer, "    ") in page

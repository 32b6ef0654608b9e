"""The pages say what is so: help texts, the schema, commands and their output."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from conformance import contracts
from conformance.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
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
    assert page.read_text(encoding="utf-8") == text, f"write it anew: UPDATE_DOCS=1 pytest {Path(__file__).name}"


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
        shown = CliRunner().invoke(cli, [*words, "--help"], prog_name="probe-conformance", terminal_width=100)
        assert shown.exit_code == 0
        parts.append(f"## {' '.join(['probe-conformance', *words])}\n\n```text\n{shown.output.rstrip()}\n```\n")
    return "\n".join(parts)


def test_help_texts_stand_on_their_page() -> None:
    generated(ROOT / "docs" / "cli.md", help_page())


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    commands = re.findall(r"^```sh\n(.+)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE)
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert len(commands) == 2
    assert [command for command in commands if command not in script] == []


def consoles(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each command of the console blocks of *page* with the output that stands below it."""
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


CONSOLES = [
    pytest.param(command, output, id=f"{page.stem}-{command[:60]}") for page in PAGES for command, output in consoles(page)
]


@pytest.mark.parametrize(("command", "output"), CONSOLES)
def test_commands_print_what_the_pages_show(command: str, output: str, tmp_path: Path) -> None:
    """In the pages … stands for anything."""
    (tmp_path / "checks/scenarios/acme").mkdir(parents=True)
    (tmp_path / "checks/scenarios/acme/vault-file.toml").write_text(SCENARIO)
    probe = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert probe is not None
    (tmp_path / "smoke_test.py").write_text(probe[1])
    words = shlex.split(command)
    assert words[0] == "probe-conformance"
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *words[1:]],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    pattern = re.escape(output.strip()).replace("…", ".*")
    assert re.fullmatch(pattern, done.stdout.strip()), f"status {done.returncode}\n{done.stdout}"


def test_links_between_pages_lead_somewhere() -> None:
    links = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())]
    inside = [(page, target) for page, target in links if not target.startswith("https://")]
    assert inside
    assert [f"{page.name}: {target}" for page, target in inside if not (page.parent / target).exists()] == []


def test_exit_codes_on_the_contracts_page_are_those_of_the_contract() -> None:
    page = (ROOT / "docs" / "contracts.md").read_text()
    for verdict in contracts.load("slot").verdicts:
        assert re.search(rf"^\| `{verdict.name}` \| {verdict.code} \|", page, re.MULTILINE)

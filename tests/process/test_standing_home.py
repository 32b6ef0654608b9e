"""A home that stands for many probes: what one leaves behind, the next does not find."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import bundled_catalogue, file, scenario

from conformance.catalogue import contracts
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.hosts import PythonScript
from conformance.drivers.local.standing import StandingHome
from conformance.model.outcome import Broke, Unsupported
from conformance.model.placeholders import Context

SLOT = contracts.load("slot")
#: Each prints what it finds, and then does something about it.
LOOKS = """\
import os, sys
home = os.environ["HOME"]
login = os.path.join(home, ".claude", "login")
print(sorted(os.listdir(home)), open(login).read(), os.stat(login).st_mode & 0o777, os.stat(login).st_mtime > 1e9, os.listdir("/tmp"))
"""
FRESH = "['.claude'] secret 384 True"
TOUCHES = {
    "adds": 'open(os.path.join(home, "new"), "w").close()',
    "removes": "os.unlink(login)",
    "rewrites": 'open(login, "w").write("SECRET")',
    "changes the mode": "os.chmod(login, 0o600)",
    "sets the time": "os.utime(login, (1, 1))",
    "puts a copy in its place": 'open(login + "~", "w").write("secret"); os.rename(login + "~", login)',
    "leaves something in /tmp": 'open("/tmp/left", "w").close()',
    "only looks": "",
}


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[LocalDriver]:
    made = LocalDriver((), tmp_path, cwd=tmp_path)
    yield made
    made.close()


def probe(driver: LocalDriver, name: str, text: str) -> LocalDriver:
    """Return the driver of a probe with this program."""
    path = driver.directory / f"{name.replace(' ', '-').replace('/', '')}.py"
    path.write_text(text)
    return driver.with_command((sys.executable, "-I", str(path)), PythonScript(str(path)))


def test_a_probe_finds_the_home_as_it_was_built_whatever_others_have_done(
    driver: LocalDriver,
) -> None:
    home = StandingHome(
        scenario(file(".claude/login", "secret")), SLOT, Context(now=1.7e9, seed="seed")
    )
    looks = probe(driver, "looks", LOOKS)
    found = {}
    for name, touch in TOUCHES.items():
        home.execute(probe(driver, name, LOOKS + touch))
        found[name] = home.execute(looks).outcome.stdout.decode().strip()
    home.close()

    for name, said in found.items():
        assert said.startswith(FRESH), name
    if not driver.describe()["temporary_directories"].startswith("shared"):
        assert "left" not in found["leaves something in /tmp"]
    assert not any(one.name.isdigit() for one in driver.directory.iterdir())


def test_a_home_stays_until_something_has_changed_it(driver: LocalDriver) -> None:
    home = StandingHome(
        scenario(file(".claude/login", "secret")), SLOT, Context(now=1.7e9, seed="seed")
    )
    tells = 'import os\nprint(os.stat(os.environ["HOME"]).st_ino, os.environ["HOME"])\n'
    reads = probe(driver, "reads", f"{tells}open(os.environ['HOME'] + '/.claude/login').read()\n")
    writes = probe(driver, "writes", f"{tells}open(os.environ['HOME'] + '/new', 'w').close()\n")

    first, second, third, last = (
        home.execute(one).outcome.stdout for one in (reads, writes, reads, reads)
    )
    home.close()

    assert first == second != third == last


def test_what_a_probe_has_changed_is_said_of_it_and_of_no_other(driver: LocalDriver) -> None:
    home = StandingHome(
        scenario(file(".claude/login", "secret")), SLOT, Context(now=1.7e9, seed="seed")
    )
    writes = probe(driver, "adds", LOOKS + TOUCHES["adds"])
    looks = probe(driver, "looks", LOOKS)

    changes = [home.execute(one).changes for one in (looks, writes, looks)]
    home.close()

    assert changes == [(), ("added new (file, mode 0644, 0 bytes)",), ()]


@pytest.mark.parametrize(
    ("contract", "id_"),
    [
        ("gate", "claude/no-dot-claude"),
        ("entrypoint", "entrypoint/mode/start"),
        ("slot", "surroundings/earlier/claude-logged-in"),
    ],
)
def test_what_takes_more_than_a_home_has_none_that_stands(contract: str, id_: str) -> None:
    catalogue = bundled_catalogue()
    known = [one for one in catalogue.scenarios if one.startswith(id_.rpartition("/")[0])]
    case = catalogue.scenarios[id_ if id_ in known else known[0]]

    assert not StandingHome.suits(case, catalogue.contracts[contract])
    assert StandingHome.suits(scenario(), catalogue.contracts["slot"])


def test_a_home_that_cannot_be_built_is_unsupported_for_every_probe(driver: LocalDriver) -> None:
    case = scenario(file("x" * 300))
    home = StandingHome(case, SLOT, Context(now=1.7e9, seed="seed"))

    outcomes = [home.execute(probe(driver, "looks", LOOKS)).outcome for _ in range(2)]
    home.close()

    assert len({type(one.ending) for one in outcomes} & {Broke, Unsupported}) == 1
    assert not any(one.name.isdigit() for one in driver.directory.iterdir())

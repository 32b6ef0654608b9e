"""Pages in a browser, and the commands that make them.

One browser looks at all pages, for all workers: each test reads what it has seen there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support_browser import WIDTHS, dress, missing, opened
from support_cli import call, environment, suite
from support_image import Once

from conformance.catalogue import contracts

HOSTILE = "<script>document.title = 'taken over'</script>\x1b[31m\u202e" + "x" * 3_000
#: What a keyboard has to reach, if it can be seen.
REACHABLE = "a[href], summary, input, select, [tabindex='0']"
SEEN = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility()).length"


def axe() -> str:
    """Return axe-core, which finds what keeps people from reading a page; CONFORMANCE_AXE names another one."""
    if named := os.environ.get("CONFORMANCE_AXE"):
        return Path(named).read_text()
    spec = importlib.util.find_spec("selenium_axe_python")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], "axe-core", "axe.min.js").read_text()


def row(id_: str, result: str, **fields: Any) -> dict[str, Any]:
    scenario = bundled_catalogue().scenarios[id_]
    slot = contracts.bundled()["slot"]
    wrong = {"kind": "wrong-verdict", "message": "expected ready (0), got creds-missing (65)"}
    values = {
        "id": id_,
        "agent": scenario.agent,
        "expected": list(scenario.expected(slot)),
        "result": result,
        "code": 65 if result == "deviates" else 0,
        "verdict": "creds-missing" if result == "deviates" else "ready",
        "findings": [wrong] if result == "deviates" else [],
        "control": scenario.control_for(slot),
        "difference": ["+ .claude/x: file", "- .claude.json: file"],
        "summary": scenario.summary,
        "origin": scenario.origin,
        "rule": f"slot:{scenario.decided_by(slot)}",
        "repeat": ["probe-conformance", "repro", id_, "--probe", "./probe"],
    }
    return {**values, **fields}


def report(number: int, deviating: int, probe: str = "./probe") -> dict[str, Any]:
    """Return a report in which so many scenarios deviate, one of which prints what is hostile."""
    ids = (
        "claude/nested-session",
        "claude/credentials-file",
        "codex/api-key",
        "claude/config-claude-only",
    )
    rows = [row(id_, "deviates" if n < deviating else "conforms") for n, id_ in enumerate(ids)]
    step = {
        "number": 1,
        "operation": "check",
        "words": "asked",
        "expected": "ready",
        "got": "no",
        "wrong": True,
    }
    rows[1] |= {"stdout": HOSTILE, "stderr": "two\nlines"}
    rows[1] |= {"steps": [step], "changes": ["added x"], "events": ["GET /"]}
    rows.append(
        row("codex/empty", "unsupported", reason="needs a container", code=None, verdict=None)
    )
    cause = {
        "kind": "vice",
        "name": "slot/pinned",
        "text": "Pins `x`",
        "answers": ["expected ready, got 65"],
        "scenarios": [one["id"] for one in rows[:deviating]],
        "rules": ["slot:claude-login"],
        "fit": 0.9,
    }
    return {
        "schema_version": 1,
        "suite": {"name": "probe-conformance", "version": "0.1.0"},
        "contract": {"name": "slot", "version": "1"},
        "probe": {"kind": "command", "command": [probe]},
        "started": f"2026-01-0{number}T06:00:00+00:00",
        "now": 1_767_000_000.0 + number * 86_400,
        "seconds": 1.0,
        "exit_status": 1 if deviating else 0,
        "conformant": not deviating,
        "counts": {},
        "scenarios": rows,
        "causes": [cause] if deviating else [],
        "trouble": ["a worker was lost"],
    }  # fmt: skip


def make(directory: Path) -> dict[str, Path]:
    """Write pages of each kind."""
    for number, (deviating, probe) in enumerate(
        ((2, "./probe"), (3, "./probe"), (1, "./other")), 1
    ):
        (directory / f"{number}.json").write_text(json.dumps(report(number, deviating, probe)))
    done = [
        call(directory, "page", "1.json", "2.json", "-o", "time.html"),
        call(directory, "page", "2.json", "3.json", "-o", "side.html"),
        call(directory, "list", "--html", "list.html", "claude/n*"),
    ]
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3
    return {name: directory / f"{name}.html" for name in ("time", "side", "list")}


def observed(directory: Path) -> dict[str, Any]:
    """Return what a browser sees of pages of each kind."""
    with opened() as driver:
        pages: dict[str, Any] = {name: look(driver, page) for name, page in make(directory).items()}
        driver.get((directory / "time.html").as_uri())
        pages["keyboard"] = tabbed(driver)
        pages["filter"] = filtered(driver)
        pages["link"] = followed(driver)
        # What is only in its logs, so at the end.
        pages["console"] = [line["message"] for line in logged(driver, "browser")]
        messages = [
            json.loads(line["message"])["message"] for line in logged(driver, "performance")
        ]
        sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        # The browser's own first page is not ours.
        ours = [one for one in sent if one["documentURL"].startswith("file:")]
        pages["asked"] = [one["request"]["url"] for one in ours]
    return pages


def logged(driver: Chrome, kind: str) -> list[dict[str, Any]]:
    return list(driver.get_log(kind))  # type: ignore[no-untyped-call]


def look(driver: Chrome, page: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"overflow": {}, "faults": []}
    for width, dark in ((1280, False), (390, True)):
        dress(driver, width, dark=dark)
        driver.get(page.as_uri())
        found["title"] = driver.title
        found["outputs"] = driver.execute_script(
            "return [...document.querySelectorAll('pre')].map((one) => one.textContent)"
        )
        # Everything open, since what is closed is neither wide nor looked at.
        driver.execute_script(
            "for (const one of document.querySelectorAll('details')) one.open = true"
        )
        found["overflow"][str(width)] = driver.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        driver.execute_script(axe())
        results = driver.execute_async_script(
            "axe.run({resultTypes: ['violations']}).then(arguments[0], (error) => arguments[0]({error: String(error)}))"
        )
        found["faults"] += [
            f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}"
            for one in results["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        found["passes"] = len(results["passes"])
    return found


def tabbed(driver: Chrome) -> dict[str, Any]:
    """Walk through the page with the tab key, and open what is closed with the return key."""
    wanted = driver.execute_script(SEEN, REACHABLE)
    driver.execute_script(
        "window.reached = new Map(); document.body.addEventListener('focusin',"
        "(event) => reached.set(event.target, getComputedStyle(event.target).outlineStyle))"
    )
    actions = ActionChains(driver)
    for _ in range(wanted + 2):
        actions.send_keys(Keys.TAB)
    actions.perform()
    reached = driver.execute_script(
        "return [...reached.keys()].filter((one) => one.matches(arguments[0])).length", REACHABLE
    )
    outlines = driver.execute_script(
        "return [...new Set([...reached].filter(([one]) => one.matches(arguments[0])).map(([, style]) => style))]",
        REACHABLE,
    )
    driver.execute_script("document.querySelector('.scenarios summary').focus()")
    closed = driver.execute_script("return document.querySelector('.scenarios details').open")
    driver.switch_to.active_element.send_keys(Keys.RETURN)
    opened_ = driver.execute_script("return document.querySelector('.scenarios details').open")
    return {"wanted": wanted, "reached": reached, "outline": outlines, "toggled": closed != opened_}


def filtered(driver: Chrome) -> dict[str, Any]:
    def state() -> list[Any]:
        return [driver.execute_script(SEEN, "[data-row]"), driver.find_element(By.ID, "found").text]

    box = driver.find_element(By.ID, "words")
    found = {"before": state()}
    box.send_keys("CODEX")
    found["codex"] = state()
    box.send_keys(Keys.ESCAPE)
    found["after"] = state()
    chosen = driver.find_element(By.CSS_SELECTOR, "select[data-about=result]")
    chosen.send_keys("unsupported")
    found["unsupported"] = state()
    return found


def followed(driver: Chrome) -> dict[str, Any]:
    """Follow a link to a scenario that the filter hides, and that is closed."""
    driver.execute_script("location.hash = 'claude/nested-session'")
    target = driver.find_element(By.ID, "claude/nested-session")
    return {
        "seen": target.is_displayed(),
        "words": driver.find_element(By.ID, "words").get_attribute("value"),
    }


@pytest.fixture
def seen(once: Once, tmp_path: Path) -> dict[str, Any]:
    """Return what a browser has seen; without one, skip, or fail where that is not accepted."""
    if reason := missing():
        if os.environ.get("CONFORMANCE_REQUIRE_BROWSER") == "1":
            pytest.fail(f"CONFORMANCE_REQUIRE_BROWSER=1, but {reason}")
        pytest.skip(reason)
    return dict(once("browser", lambda: observed(tmp_path)))


@pytest.mark.in_turn(2)
def test_no_page_asks_anybody_for_anything_or_complains(seen: dict[str, Any]) -> None:
    assert seen["console"] == []
    assert len(seen["asked"]) >= 6
    assert [url for url in seen["asked"] if not url.startswith(("file:///", "data:"))] == []


def test_what_a_probe_prints_stays_text(seen: dict[str, Any]) -> None:
    shown = HOSTILE.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")

    assert seen["time"]["title"] == "Not conformant: ./probe, slot 1"
    assert shown in seen["time"]["outputs"]
    assert shown in seen["side"]["outputs"]


@pytest.mark.parametrize("page", ["time", "side", "list"])
def test_a_page_can_be_read_by_everybody(seen: dict[str, Any], page: str) -> None:
    """On a telephone in the dark, and on a laptop."""
    assert seen[page]["faults"] == []
    assert seen[page]["passes"] > 20
    assert seen[page]["overflow"] == {str(width): 0 for width in WIDTHS}


def test_a_keyboard_reaches_everything_and_shows_where_it_is(seen: dict[str, Any]) -> None:
    assert seen["keyboard"]["wanted"] > 20
    assert seen["keyboard"]["reached"] == seen["keyboard"]["wanted"]
    assert (seen["keyboard"]["outline"], seen["keyboard"]["toggled"]) == (["solid"], True)


def test_the_filter_shows_what_fits(seen: dict[str, Any]) -> None:
    found = seen["filter"]

    assert found["codex"][1] == f"{found['codex'][0]} of 5 shown"
    assert 0 < found["codex"][0] < 5
    assert found["after"] == found["before"]
    assert found["unsupported"] == [1, "1 of 5 shown"]


def test_a_link_leads_to_its_scenario_whatever_the_filter_hides(seen: dict[str, Any]) -> None:
    assert seen["link"] == {"seen": True, "words": ""}


# The commands


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "there is nothing to write; name a file with --output or --badge"),
        (["-o", "1.json"], 2, "1.json is one of the reports; name another file to write"),
        (["--badge", "sub/../1.json"], 2, "sub/../1.json is one of the reports"),
        (["-o", "x", "--badge", "./x"], 2, "--output and --badge both write to x"),
        (["-o", "no/x.html"], 2, "no directory"),
        (["-o", "sub"], 2, "sub is a directory"),
        (["2.json", "--badge", "x"], 2, "a badge is about one probe, and the reports are about 2"),
        (["none.json", "-o", "x"], 2, "no file none.json"),
        (["0.json", "--badge", "x", "--one-probe"], 0, ""),
    ],
)
def test_a_page_that_cannot_be_made_is_one_line(
    words: list[str], status: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "0.json").write_text(json.dumps(report(0, 1, "./older")))
    (tmp_path / "1.json").write_text(json.dumps(report(1, 1)))
    (tmp_path / "2.json").write_text(json.dumps(report(2, 1, "./other")))
    before = (tmp_path / "1.json").read_text()

    done = call(tmp_path, "page", "1.json", *words)

    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == bool(message)
    assert (tmp_path / "1.json").read_text() == before


def test_there_is_no_badge_of_a_run_that_judged_nothing(tmp_path: Path) -> None:
    nothing = report(1, 0)
    nothing["scenarios"] = nothing["scenarios"][-1:]
    (tmp_path / "r.json").write_text(json.dumps(nothing))

    done = call(tmp_path, "page", "r.json", "--badge", "badge.json", "-o", "page.html")

    assert (done.returncode, done.stdout) == (3, "")
    assert "r.json has no badge: nothing was judged in that run" in done.stderr
    assert not (tmp_path / "badge.json").exists()


def test_a_run_writes_its_page(tmp_path: Path) -> None:
    words = ["run", "claude/nested-session", "-n", "0", "--probe", "sh -c 'echo \"<b>\"; exit 65'"]

    done = suite(tmp_path, *words, "--html", "page.html", "--json", "report.json")
    again = call(tmp_path, "page", "report.json", "-o", "-")

    page = (tmp_path / "page.html").read_text()
    assert (done.returncode, again.returncode) == (1, 0)
    assert "&lt;b&gt;" in page
    assert "probe-conformance repro claude/nested-session" in page
    assert again.stdout == page


@pytest.mark.slow
def test_only_who_wants_a_page_pays_for_it(tmp_path: Path) -> None:
    words = ["run", "claude/nested-session", "-n", "0", "--probe", "sh -c 'exit 0'"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "conformance", *words],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "conformance.run.assembly" in loaded
    assert [
        name
        for name in loaded
        if name.startswith(("jinja2", "markupsafe", "conformance.report.page"))
    ] == []

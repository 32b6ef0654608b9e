"""The composite action: its scripts are run as GitHub runs them, with a stand-in for the suite."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.cli.run import run_command

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = [step for step in STEPS if "run" in step]
PACKAGES, CACHE, INSTALL, RUN, SUMMARY, UPLOAD = STEPS
BASH = [shutil.which("bash") or "/bin/bash", "--noprofile", "--norc", "-eo", "pipefail"]

#: Stands for the suite and for Python: writes down what it is called with, and ends as it is told.
STAND_IN = f"""#!{sys.executable} -I
import json, os, sys
open(os.environ["CALLS"], "a").write(json.dumps(sys.argv[1:]) + "\\n")
report = [word.removeprefix("--json=") for word in sys.argv if word.startswith("--json=")]
if report and os.environ.get("STAND_IN_REPORT"):
    open(report[0], "w").write(os.environ["STAND_IN_REPORT"])
sys.exit(int(os.environ.get("STAND_IN_STATUS", "0")))
"""
#: Whatever a shell could take for more than text.
NASTY = "a b'c\"d$(touch injected)`touch injected`;touch injected;${HOME}*\\n~ && #"
COUNTS = {"conforms": 2, "deviates": 0, "unsupported": 0, "broke": 0, "known-failure": 0}


def row(**values: Any) -> dict[str, Any]:
    """Return a scenario of a report."""
    return {
        "id": "claude/one",
        "result": "deviates",
        "reason": "",
        "expected": ["ready"],
        "expected_codes": [0],
        "code": 65,
        "verdict": "creds-missing",
        "findings": [
            {"kind": "wrong-verdict", "message": "expected ready (0), got creds-missing (65)"}
        ],
    } | values


def report(*rows: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a report as a run writes it, as far as the summary goes."""
    return {
        "contract": {"name": "slot", "version": "1"},
        "counts": COUNTS,
        "seconds": 3.25,
        "exit_status": 0,
        "conformant": True,
        "stale_known_failures": [],
        "trouble": [],
        "diagnosis": "",
        "scenarios": list(rows),
    } | values


class Job:
    """A directory to work in, and what GitHub puts around a step."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.calls = directory / "calls"
        self.inputs = {
            name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()
        }
        for name in (
            "temp/probe-conformance/bin/probe-conformance",
            "temp/probe-conformance/bin/python",
            "bin/python",
        ):
            program = directory / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(STAND_IN)
            program.chmod(0o755)
        self.inputs |= {"image": "slot-image:ci", "python": sys.executable}

    def step(self, step: dict[str, Any], **more: str) -> subprocess.CompletedProcess[str]:
        """Run the script of *step* with its environment filled in."""
        values = {f"inputs.{name}": value for name, value in self.inputs.items()}
        values["runner.temp"] = str(self.directory / "temp")
        env = {
            name: re.sub(r"\$\{\{ (.+?) \}\}", lambda m: self._value(m[1], values), text)
            for name, text in step.get("env", {}).items()
        }
        files = {
            name: str(self.directory / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        }
        around = {
            "PATH": os.environ["PATH"],
            "CALLS": str(self.calls),
            "GITHUB_ACTION_PATH": str(ROOT),
            **files,
        }
        script = self.directory / "script.sh"
        script.write_text(step["run"])
        return subprocess.run(
            [*BASH, str(script)],
            cwd=self.directory,
            env={**around, **env, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _value(self, expression: str, values: dict[str, str]) -> str:
        """Return what GitHub makes of an expression: the first of its alternatives that is not empty."""
        return next(filter(None, (values[name] for name in expression.split(" || "))), "")

    def called(self) -> list[list[str]]:
        """Return the words of every call of a stand-in."""
        return (
            [json.loads(line) for line in self.calls.read_text().splitlines()]
            if self.calls.exists()
            else []
        )

    def output(self) -> str:
        return (self.directory / "GITHUB_OUTPUT").read_text()

    def page(self) -> str:
        """Return the summary, with its entities as the characters that a reader sees."""
        text = (self.directory / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
        return re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), text)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_no_script_holds_an_expression() -> None:
    assert [step["name"] for step in SCRIPTS if "${{" in step["run"]] == []


def test_every_script_is_for_bash() -> None:
    assert {step["shell"] for step in SCRIPTS} == {"bash"}
    assert len(SCRIPTS) == 4


def test_every_input_is_handed_on() -> None:
    handed = [
        *(
            value
            for step in STEPS
            for value in (step.get("env") or step.get("with") or {}).values()
        ),
        *(f"${{{{ {step['if']} }}}}" for step in STEPS if "if" in step),
    ]
    said = {found for value in handed for found in re.findall(r"\binputs\.([\w-]+)", value)}
    assert said == ACTION["inputs"].keys()


def test_every_variable_that_is_handed_on_is_used() -> None:
    assert [
        f"{step['name']}: {name}"
        for step in SCRIPTS
        for name in step.get("env", {})
        if f"${name}" not in step["run"] and name != "PIP_CACHE_DIR"  # pip reads it itself
    ] == []


def test_summary_and_upload_come_whatever_the_run_ended_with() -> None:
    assert [step.get("if", "")[:8] for step in STEPS if step not in (PACKAGES, CACHE)] == [
        "",
        "",
        "always()",
        "always()",
    ]


def test_other_actions_are_pinned_to_a_commit() -> None:
    uses = re.findall(r"uses: (.*)", (ROOT / "action.yml").read_text())
    assert uses
    assert [
        use for use in uses if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v[\d.]+", use)
    ] == []


def test_every_input_has_a_description_and_a_default() -> None:
    assert [name for name, spec in ACTION["inputs"].items() if not spec.get("description")] == []
    assert [name for name, spec in ACTION["inputs"].items() if "default" not in spec] == []


def test_installs_its_own_checkout_and_forgets_an_earlier_report(job: Job) -> None:
    job.inputs["python"] = str(job.directory / "bin/python")
    job.inputs |= {"junit": "report.xml", "html": "report.html"}
    earlier = ("probe-conformance.json", "report.xml", "report.html")
    for name in earlier:
        (job.directory / name).write_text("{}")
    assert job.step(INSTALL).returncode == 0
    venv = str(job.directory / "temp/probe-conformance")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT)]
    assert job.called() == [["-m", "venv", venv], pip]
    assert [name for name in earlier if (job.directory / name).exists()] == []


def test_installation_that_fails_fails_the_step(job: Job) -> None:
    job.inputs["python"] = str(job.directory / "bin/python")
    assert job.step(INSTALL, STAND_IN_STATUS="1").returncode == 1
    assert len(job.called()) == 1


def test_runs_with_the_defaults(job: Job) -> None:
    assert job.step(RUN).returncode == 0
    words = ["run", "--json=probe-conformance.json", "--image=slot-image:ci"]
    assert job.called() == [[*words, "--output-format=github"]]


def test_every_input_that_is_given_is_an_option(job: Job) -> None:
    given = {name: f"the {name}" for name in ("probe", "config", "contract", "isolation")}
    given |= {
        "shard": "1/4",
        "junit": "report.xml",
        "html": "report.html",
        "known-failures": "known.toml",
    }
    job.inputs |= {**given, "image": "", "annotations": "false"}
    job.step(RUN)
    [called] = job.called()
    words = {f"--{name}={value}" for name, value in given.items()}
    assert {*called} == {"run", "--json=probe-conformance.json", *words}


def test_the_words_for_the_suite_are_its_own(job: Job) -> None:
    options = {name for parameter in run_command.params for name in parameter.opts}
    said = set(re.findall(r"[\"(](--[a-z-]+)=", RUN["run"]))
    assert said == {"--output-format"} | {
        f"--{name}"
        for name in ("json", "config", "image", "probe", "contract", "isolation", "junit", "html")
    } | {"--known-failures", "--shard"}
    assert said <= options


def test_the_key_of_the_cache_stands_for_what_is_installed(job: Job) -> None:
    assert job.step(PACKAGES).returncode == 0
    assert re.fullmatch(r"key=[0-9a-f]{64}-\d{4}-\d\d\n", job.output())
    assert CACHE["with"]["path"] == INSTALL["env"]["PIP_CACHE_DIR"]


def test_lines_of_scenarios_and_args_are_words(job: Job) -> None:
    job.inputs |= {
        "scenarios": "claude/*\n\ncodex/tokens\n",
        "args": "--env=NOTE=two words\n--\n--maxfail=1",
        "known-failures": "k.toml",
    }
    job.step(RUN)
    words = [
        "--known-failures=k.toml",
        "claude/*",
        "codex/tokens",
        "--env=NOTE=two words",
        "--",
        "--maxfail=1",
    ]
    assert job.called()[0][4:] == words


@pytest.mark.parametrize(
    "name",
    [
        *("image", "probe", "config", "contract", "isolation", "scenarios", "known-failures"),
        *("args", "report", "junit", "html", "annotations", "python", "shard"),
    ],
)
@pytest.mark.slow
def test_no_input_is_more_than_text(job: Job, name: str) -> None:
    job.inputs[name] = NASTY
    if name == "probe":
        job.inputs["image"] = ""
    job.step(RUN)
    if name not in ("python", "annotations"):
        assert [
            word for word in job.called()[0] if word.partition("=")[2] == NASTY or word == NASTY
        ] != []
    job.step(SUMMARY)
    if name != "python":
        job.inputs["python"] = str(job.directory / "bin/python")
    job.step(INSTALL)
    assert list(job.directory.rglob("injected")) == []


@pytest.mark.parametrize("status", [0, 1, 2, 3, 130])
def test_status_of_the_run_is_that_of_the_step(job: Job, status: int) -> None:
    assert job.step(RUN, STAND_IN_STATUS=str(status)).returncode == status
    assert job.output() == f"exit-status={status}\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("scenarios", "claude/*\n--probe=x"), ("report", "-"), ("report", "")),
        *(("junit", "-"), ("html", "-"), ("probe", "a second one"), ("image", "")),
    ],
)
def test_refuses_what_would_be_taken_for_something_else(job: Job, name: str, value: str) -> None:
    job.inputs[name] = value
    done = job.step(RUN)
    assert done.returncode == 2
    [said] = re.findall(r"^::error::(.*?): ", done.stdout, re.MULTILINE)
    assert name in re.split(r", | and | or ", said)
    assert job.called() == []
    assert job.output() == "exit-status=2\n"


def test_summary_says_which_shard_it_is_about(job: Job) -> None:
    (job.directory / "probe-conformance.json").write_text(
        json.dumps(report(shard={"index": 2, "count": 4}))
    )
    job.step(SUMMARY)
    assert "Contract slot 1, shard 2 of 4, 3.2 s." in job.page()


def test_summary_counts_and_shows_what_deviates(job: Job) -> None:
    counts = COUNTS | {"deviates": 1, "broke": 1}
    rows = (
        row(),
        row(id="claude/two", result="conforms"),
        row(id="claude/three", result="broke", reason="the engine was lost"),
    )
    text = json.dumps(report(*rows, counts=counts, exit_status=1, conformant=False))
    assert job.step(RUN, STAND_IN_STATUS="1", STAND_IN_REPORT=text).returncode == 1
    assert job.step(SUMMARY).returncode == 0
    page = job.page()
    assert page.startswith("## slot-image:ci: not conformant\n")
    assert (
        "| conforms | deviates | unsupported | broke | known failure |\n|---|---|---|---|---|\n| 2 | 1 | 0 | 1 | 0 |\n"
        in page
    )
    assert (
        "| claude/one | ready (0) | creds-missing (65) | wrong-verdict: expected ready (0), got creds-missing (65) |\n"
        in page
    )
    assert "| claude/three | the engine was lost |\n" in page
    assert "claude/two" not in page


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ({"code": 7, "verdict": None}, "exit code 7"),
        (
            {"code": None, "verdict": None, "findings": [{"kind": "timed-out", "message": "late"}]},
            "timed-out",
        ),
        (
            {
                "code": None,
                "verdict": None,
                "findings": [{"kind": "killed-by-signal", "message": "SIGKILL"}],
            },
            "killed-by-signal",
        ),
    ],
)
@pytest.mark.slow
def test_summary_says_how_a_probe_ended(job: Job, values: dict[str, Any], got: str) -> None:
    job.step(RUN, STAND_IN_REPORT=json.dumps(report(row(**values))))
    job.step(SUMMARY)
    assert f"| claude/one | ready (0) | {got} |" in job.page()


def test_summary_shows_what_is_true_of_the_run_as_a_whole(job: Job) -> None:
    job.step(
        RUN,
        STAND_IN_REPORT=json.dumps(
            report(
                stale_known_failures=["claude/old"],
                trouble=["a worker was lost"],
                diagnosis="the probe sleeps",
            )
        ),
    )
    job.step(SUMMARY)
    assert (
        "- claude/old is a known failure, and conforms: take it off the list\n- a worker was lost\n- the probe sleeps\n"
        in job.page()
    )


@pytest.mark.parametrize(
    ("status", "conformant", "words"),
    [
        (0, True, "conformant"),
        (0, False, "no new failure"),
        (3, False, "not judged"),
        (130, False, "interrupted"),
    ],
)
def test_summary_says_what_the_status_stands_for(
    job: Job, status: int, conformant: bool, words: str
) -> None:
    job.step(RUN, STAND_IN_REPORT=json.dumps(report(exit_status=status, conformant=conformant)))
    job.step(SUMMARY)
    assert job.page().splitlines()[0] == f"## slot-image:ci: {words}"


def test_nothing_that_a_probe_says_is_taken_for_markdown(job: Job) -> None:
    said = "<img src=x> | **bold** [link](https://example.org) `code`\n# head &amp; ![x](y)"
    job.step(
        RUN,
        STAND_IN_REPORT=json.dumps(
            report(row(findings=[{"kind": "left-process", "message": said}]))
        ),
    )
    job.step(SUMMARY)
    raw = next(
        line
        for line in (job.directory / "GITHUB_STEP_SUMMARY").read_text().splitlines()
        if "claude" in line
    )
    assert set("<>[]`*!") & set(raw) == set()
    assert raw.count("|") == 5
    assert (
        "<img src=x> | **bold** [link](https://example.org) `code` # head &amp; ![x](y)"
        in job.page()
    )


def test_long_reports_make_short_pages(job: Job) -> None:
    rows = [
        row(id=f"claude/n{n}", findings=[{"kind": "changed-home", "message": "<" * 5000}])
        for n in range(500)
    ]
    (job.directory / "probe-conformance.json").write_text(json.dumps(report(*rows)))
    job.step(SUMMARY)
    assert "… and 400 more" in job.page()
    assert (job.directory / "GITHUB_STEP_SUMMARY").stat().st_size < 1024 * 1024


def test_without_a_report_the_summary_says_so(job: Job) -> None:
    assert job.step(RUN, STAND_IN_STATUS="3").returncode == 3
    assert job.step(SUMMARY).returncode == 0
    assert job.page() == "## slot-image:ci: no report\n\nThe run did not start; its log says why.\n"


@pytest.mark.slow
def test_summary_reads_what_the_suite_writes(job: Job) -> None:
    """With the suite itself in place of the stand-in, and a local probe."""
    command = [
        sys.executable,
        "-m",
        "conformance",
        "run",
        "claude/nested-session",
        "claude/baseline-only",
    ]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [*command, "--probe", "true", "--json", str(job.directory / "probe-conformance.json")],
        cwd=job.directory,
        env=env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert job.step(SUMMARY).returncode == 0
    assert "| claude/baseline-only | creds-missing (65) | ready (0) | wrong-verdict: " in job.page()


def workflows() -> list[dict[str, Any]]:
    """Return the pipelines that the page shows."""
    page = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
    return [
        yaml.safe_load(block)
        for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ]


def test_pipelines_of_the_page_give_the_action_what_it_takes() -> None:
    steps = [
        step
        for pipeline in workflows()
        for job in pipeline.get("jobs", {}).values()
        for step in job["steps"]
    ]
    ours = [step for step in steps if step.get("uses", "").startswith("OWNER/probe-conformance@")]
    assert len(ours) == 1
    assert set(ours[0]["with"]) <= set(ACTION["inputs"])
    assert {"image", "probe", "config"} & set(ours[0]["with"])


def test_page_names_every_input_with_its_default() -> None:
    page = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
    rows = {
        name: default.strip("`")
        for name, default in re.findall(
            r"^\| `([\w-]+)` \|[^|]*\| ([^|]+?) \|$", page, re.MULTILINE
        )
    }
    named = {
        name: str(spec["default"]) for name, spec in ACTION["inputs"].items() if spec.get("default")
    }
    assert {name: rows.get(name) for name in named} == named


def test_pipelines_of_the_page_pin_what_they_use() -> None:
    page = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
    uses = re.findall(r"uses: (?!OWNER/)(.*)", page)
    assert uses
    assert [
        use for use in uses if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v[\d.]+", use)
    ] == []

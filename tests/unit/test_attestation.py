"""What an attestation says of a run, and when there is none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from factories import bundled_catalogue, refusal, result, scenario
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types

from conformance.bundled import contracts_dir
from conformance.catalogue import contracts
from conformance.cli.attest import attestations, check_attest, check_merged
from conformance.drivers.container.request import ImageRequest
from conformance.errors import CannotJudge, UsageError
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.outcome import Finding, Result
from conformance.report.attestation import catalogue_digest, not_attestable, run_url, statement
from conformance.run.request import Command, RunRequest
from conformance.run.subject import Subject, check

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "schemas" / "in-toto-test-result-0.1.json").read_text()
)
SLOT = contracts.load("slot")
ONE, OTHER = "a" * 64, "b" * 64
PROBE = {
    "kind": "image",
    "image": "slot-image:ci",
    "image_id": f"sha256:{'c' * 64}",
    "repo_digests": [f"registry.example/slot@sha256:{ONE}", f"mirror.example/slot@sha256:{ONE}"],
    "platform": "linux/arm64",
    "engine": "docker 28.2.2",
    "command": ["/entrypoint.sh"],
    "overridden": [],
    "user": "1000:1000",
    "home": "/home/agent",
    "isolation": "fresh",
    "network": "cut",
    "capabilities": "dropped",
    "memory": "1g",
    "notes": [],
}
ADVICE = Finding(kind="left-process", message="some message", level="should")


def report(
    kinds: Mapping[str, Result], probe: Mapping[str, Any] = PROBE, **fields: Any
) -> RunReport:
    made = RunReport(
        SLOT, [scenario(id_=id_) for id_ in kinds], probe, 1_900_000_000.0, KnownFailures({})
    )
    for id_, kind in kinds.items():
        made.add(result(id_, kind, reason="no such thing" if kind == "unsupported" else ""))
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def said(made: RunReport, **fields: Any) -> dict[str, Any]:
    """Return the statement as somebody reads it, which is what the schema says."""
    values: dict[str, Any] = {"contract": [contracts_dir() / "slot.toml"], **fields}
    text = json.dumps(statement(json.loads(json.dumps(made.document())), **values))
    found: dict[str, Any] = json.loads(text)
    assert list(Draft7Validator(SCHEMA).iter_errors(found)) == []
    return found


def part(found: dict[str, Any], name: str) -> dict[str, Any]:
    [one] = [each for each in found["predicate"]["configuration"] if each["name"] == name]
    assert isinstance(one, dict)
    return one


def fits(found: dict[str, Any], digest: str) -> bool:
    """Return whether the statement is about an image of this digest, as those who verify it match subjects."""
    return any(each["digest"].get("sha256") == digest for each in found["subject"])


def test_the_subject_is_the_image_by_each_digest_that_registries_know() -> None:
    probe = {**PROBE, "repo_digests": [*PROBE["repo_digests"], f"old.example/slot@sha256:{OTHER}"]}

    assert [
        (each["name"], each["digest"])
        for each in said(report({"a/b": "conforms"}, probe))["subject"]
    ] == [
        ("registry.example/slot", {"sha256": ONE}),
        ("old.example/slot", {"sha256": OTHER}),
    ]


def test_no_other_digest_verifies_not_even_that_of_its_configuration() -> None:
    found = said(report({"a/b": "conforms"}))

    assert fits(found, ONE)
    assert not fits(found, OTHER)
    assert not fits(found, "c" * 64)
    assert found["subject"][0]["annotations"] == {
        "imageId": f"sha256:{'c' * 64}",
        "platform": "linux/arm64",
    }


@pytest.mark.parametrize(
    ("kinds", "outcome", "lists"),
    [
        (["conforms", "conforms"], "PASSED", ([0, 1], [], [])),
        (["conforms", "unsupported"], "PASSED", ([0], [], [])),
        (["advice", "conforms"], "WARNED", ([1], [0], [])),
        (["advice", "deviates"], "FAILED", ([], [0], [1])),
        (["conforms", "known-failure"], "FAILED", ([0], [], [1])),
        (["deviates", "deviates"], "FAILED", ([], [], [0, 1])),
    ],
)
def test_what_passed_and_what_failed_stands_in_three_lists(
    kinds: list[Result], outcome: str, lists: tuple[list[int], ...]
) -> None:
    """A known failure has failed: whether that is all right is for whoever reads it to say."""
    advised = {f"a/{n}" for n, kind in enumerate(kinds) if kind == "advice"}  # type: ignore[comparison-overlap]
    made = report(
        {f"a/{n}": "conforms" if f"a/{n}" in advised else kind for n, kind in enumerate(kinds)}
    )
    for id_ in advised:
        made.add(result(id_, "conforms", findings=(ADVICE,)))
    predicate = said(made)["predicate"]

    assert predicate["result"] == outcome
    assert [predicate[name] for name in ("passedTests", "warnedTests", "failedTests")] == [
        [f"a/{n}" for n in numbers] for numbers in lists
    ]
    # Nobody signs a pass for a run that did not pass.
    assert made.conformant() == (outcome != "FAILED")


def test_what_was_asked_can_be_told_from_it() -> None:
    probe = {**PROBE, "overridden": ["user"], "variables": ["A", "TZ"]}
    kinds: dict[str, Result] = {"a/b": "conforms", "a/c": "unsupported", "a/d": "known-failure"}
    made = report(kinds, probe, as_of="1", strict=True)
    rows = made.document()["scenarios"]
    lines = "".join(f"{row['id']} {row['digest']} {','.join(row['expected'])}\n" for row in rows)
    strict = contracts_dir() / "slot-strict.toml"
    slot = contracts_dir() / "slot.toml"
    found = said(
        made,
        contract=[strict, slot],
        url="https://ci.example/7",
    )

    assert found["predicate"]["url"] == "https://ci.example/7"
    assert part(found, "suite")["uri"].startswith("pkg:pypi/probe-conformance@")
    assert part(found, "catalogue")["digest"] == {
        "sha256": hashlib.sha256(lines.encode()).hexdigest()
    }
    assert part(found, "catalogue")["annotations"] == {
        "scenarios": 3,
        "notRun": {"a/c": "no such thing"},
    }
    assert part(found, "contract slot-strict.toml")["annotations"] == {
        "name": "slot",
        "version": "1",
        "asOf": "1",
    }
    assert part(found, "contract slot.toml") == {
        "name": "contract slot.toml",
        "digest": {"sha256": hashlib.sha256(slot.read_bytes()).hexdigest()},
    }
    told = part(found, "run")["annotations"]
    assert (told["strict"], told["overridden"], told["variables"], told["knownFailures"]) == (
        True,
        ["user"],
        ["A", "TZ"],
        ["a/d"],
    )


def test_another_expectation_or_another_home_is_another_catalogue() -> None:
    row = {"id": "a/b", "digest": "1", "expected": ["ready"]}
    held = {
        catalogue_digest(rows)
        for rows in (
            [row],
            [row | {"digest": "2"}],
            [row | {"expected": []}],
            [row | {"id": "a/c"}],
            [],
        )
    }
    assert len(held) == 5


@pytest.mark.parametrize(
    ("kinds", "fields", "why"),
    [
        (["conforms"], {}, ""),
        (["deviates"], {}, ""),
        (["conforms", "unsupported"], {}, ""),
        (["conforms"], {"interrupted": True}, "the run was interrupted"),
        (["conforms"], {"trouble": ["a worker was lost"]}, "a worker was lost"),
        (["conforms", "broke"], {}, "1 scenario could not be judged"),
        (["conforms"], {"left_out": {"a/9"}}, "1 scenario did not run"),
        (["unsupported"], {}, "no scenario was judged"),
        (
            ["conforms", "unsupported"],
            {"fail_on_unsupported": True},
            "1 scenario cannot be had here",
        ),
    ],
)
def test_after_a_run_that_is_not_whole_there_is_none(
    kinds: list[Result], fields: dict[str, Any], why: str
) -> None:
    assert not_attestable(report({f"a/{n}": kind for n, kind in enumerate(kinds)}, **fields)) == why


def test_the_policy_of_the_page_takes_a_run_of_the_whole_contract_and_no_less(
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "attest.md").read_text()
    [least] = re.findall(r"annotations\.catalogue\.scenarios >= ([0-9]+)", page)
    [name] = re.findall(r'annotations\["contract slot\.toml"\]\.name == "([a-z]+)"', page)

    whole, one_agent = (
        len(subject(tmp_path, agent=agent).selected) for agent in ("", SLOT.agents[0])
    )

    assert one_agent < int(least) <= whole
    assert name == SLOT.name


def subject(tmp_path: Path, **fields: Any) -> Subject:
    values: dict[str, Any] = {"probe": ImageRequest(reference="slot-image:ci"), **fields}
    return check(RunRequest(cwd=str(tmp_path), **values))


@pytest.mark.parametrize(
    ("request_", "options", "line"),
    [
        (
            {"probe": Command("true")},
            {},
            "--attest is about an image; name it with --image, or leave --attest out",
        ),
        (
            {"patterns": ("claude/*",)},
            {},
            "--attest is about all scenarios of the contract; leave out what chooses among them",
        ),
        (
            {},
            {"last_failed": "old.json"},
            "--attest is about all scenarios of the contract; leave out --last-failed",
        ),
        (
            {},
            {"shard": "1/2"},
            "--attest is about all scenarios of the contract; "
            "leave it to merge, which has all shards",
        ),
    ],
)
def test_part_of_a_contract_or_a_program_is_refused_before_anything_runs(
    request_: dict[str, Any], options: dict[str, Any], line: str, tmp_path: Path
) -> None:
    wanted = {"attest_file": "a.json", **options}

    assert refusal(UsageError, check_attest, wanted, subject(tmp_path, **request_)) == line
    check_attest({**wanted, "attest_file": None}, subject(tmp_path, **request_))
    check_attest({"attest_file": "a.json"}, subject(tmp_path, agent="claude"))


def test_a_contract_that_has_gone_while_the_run_went_on_is_one_line(tmp_path: Path) -> None:
    made, options = report({"a/b": "conforms"}), {"attest_file": str(tmp_path / "a.json")}
    [write] = attestations(made, "own.toml", tmp_path, options)

    assert refusal(CannotJudge, write) == (
        f"no attestation: {tmp_path}/own.toml cannot be read: No such file or directory"
    )
    assert list(tmp_path.iterdir()) == []


def test_merged_shards_of_a_program_are_no_image() -> None:
    catalogue = bundled_catalogue()
    command = report({"a/b": "conforms"}, {"kind": "command", "command": ["true"]})

    line = refusal(UsageError, check_merged, {"attest_file": "a.json"}, command, catalogue)

    assert line == ("--attest is about an image; merge the shards of one, or leave --attest out")
    check_merged({"attest_file": None}, command, catalogue)


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, ""),
        ({"CI_JOB_URL": "https://gitlab.example/jobs/7"}, "https://gitlab.example/jobs/7"),
        (
            {
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_RUN_ID": "7",
            },
            "https://github.com/a/b/actions/runs/7",
        ),
        ({"GITHUB_SERVER_URL": "https://github.com"}, ""),
    ],
)
def test_it_links_to_the_job_that_the_pipeline_names(environment: dict[str, str], url: str) -> None:
    assert run_url(environment) == url


def test_a_contract_names_the_files_that_it_is_read_from(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nversion = "1"\nsummary = "own"\nextends = "slot-strict"\n')
    bundled = [contracts_dir() / "slot-strict.toml", contracts_dir() / "slot.toml"]

    assert contracts.files("slot-strict", contracts.load("slot-strict")) == bundled
    assert contracts.files(
        "own.toml", contracts.load("own.toml", base=tmp_path), base=tmp_path
    ) == [own, *bundled]

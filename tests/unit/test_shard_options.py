"""The options about shards: what is typed, and what pipelines say."""

from __future__ import annotations

from typing import Any

import click
import pytest
from factories import refusal

from conformance.cli.fixed import _now, seed_option
from conformance.cli.shard import shard_request
from conformance.errors import UsageError
from conformance.run.shards import ShardRequest

VARIABLES = (
    *("CI_NODE_INDEX", "CI_NODE_TOTAL", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"),
    "JOB_COMPLETION_INDEX",
)
LIKE = "write it like 1/4, 2/4, 3/4 and 4/4"


def asked(shard: str | None, durations: str | None = None) -> ShardRequest | None:
    return shard_request({"shard": shard, "durations": durations})


def refused(shard: str | None, durations: str | None = None) -> str:
    return refusal(UsageError, asked, shard, durations)


@pytest.fixture(autouse=True)
def _nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def said(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_shard_is_one_of_so_many() -> None:
    assert asked(None) is None
    assert asked("1/1") == ShardRequest(index=1, count=1)
    assert asked("3/7", "last.json") == ShardRequest(index=3, count=7, durations="last.json")


@pytest.mark.parametrize("text", ["", "1", "/", "1/", "/4", "a/4", "1/b", "-1/4", "1/4/2", "١/٤"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    assert refused(text) == f"--shard '{text}' is no shard; {LIKE}"


@pytest.mark.parametrize("text", ["0/4", "5/4", "0/0", "1/10001", "10001/10001"])
def test_a_shard_that_there_cannot_be_is_refused(text: str) -> None:
    index, count = text.split("/")

    assert refused(text) == f"--shard {text}: there is no shard {index} of {count}; {LIKE}"


def test_durations_are_about_shards() -> None:
    assert refused(None, "last.json") == (
        "--durations says how to cut shards; give --shard, or leave it out"
    )


@pytest.mark.parametrize("index", [1, 2, 4])
def test_gitlab_counts_from_one_and_buildkite_from_zero(
    monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    said(monkeypatch, CI_NODE_INDEX=str(index), CI_NODE_TOTAL="4")
    assert asked("auto") == asked("auto/4") == ShardRequest(index=index, count=4)

    said(
        monkeypatch, BUILDKITE_PARALLEL_JOB=str(index - 1), BUILDKITE_PARALLEL_JOB_COUNT="4"
    )  # both say the same
    assert asked("auto") == ShardRequest(index=index, count=4)
    monkeypatch.delenv("CI_NODE_INDEX")
    monkeypatch.delenv("CI_NODE_TOTAL")
    assert asked("auto") == ShardRequest(index=index, count=4)


def test_a_pod_of_an_indexed_job_has_to_be_told_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said(monkeypatch, JOB_COMPLETION_INDEX="0")

    assert asked("auto/4") == ShardRequest(index=1, count=4)
    assert refused("auto").startswith(
        "--shard auto: how many shards are there?; write it like auto/4"
    )
    said(monkeypatch, JOB_COMPLETION_INDEX="4")
    assert refused("auto/4") == f"--shard auto/4: there is no shard 5 of 4; {LIKE}"


def test_a_job_of_gitlab_that_is_not_parallel_is_the_only_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GitLab sets the total there, and no index."""
    said(monkeypatch, CI_NODE_TOTAL="1")

    assert asked("auto") == ShardRequest(index=1, count=1)


def test_nothing_is_cut_where_that_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may be parallel for another reason: with a part of the scenarios it would pass for no reason."""
    said(monkeypatch, CI_NODE_INDEX="1", CI_NODE_TOTAL="4")

    assert asked(None) is None


@pytest.mark.parametrize(
    ("variables", "text", "words"),
    [
        ({}, "auto", "nothing here says which shard this is"),
        ({}, "auto/4", "nothing here says which shard this is"),
        ({"CI_NODE_TOTAL": "4"}, "auto", "CI_NODE_INDEX is not set"),
        (
            {"CI_NODE_TOTAL": "four", "CI_NODE_INDEX": "1"},
            "auto",
            "CI_NODE_TOTAL is 'four', and no number",
        ),
        (
            {"JOB_COMPLETION_INDEX": ""},
            "auto/4",
            "JOB_COMPLETION_INDEX is '', and no number",
        ),
        (
            {"CI_NODE_TOTAL": "4", "CI_NODE_INDEX": "1", "JOB_COMPLETION_INDEX": "1"},
            "auto/4",
            "CI_NODE_TOTAL and JOB_COMPLETION_INDEX do not say the same",
        ),
    ],
)
def test_what_pipelines_do_not_say_or_say_twice_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], text: str, words: str
) -> None:
    said(monkeypatch, **variables)

    assert refused(text).startswith(f"--shard auto: {words}; write it like 1/4")


def test_another_number_than_the_pipeline_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, CI_NODE_INDEX="1", CI_NODE_TOTAL="3")

    assert refused("auto/4") == (
        "--shard auto/4: CI_NODE_TOTAL says that there are 3; leave out the number"
    )


def now(text: str | None) -> float | None:
    return _now(None, None, text)  # type: ignore[arg-type]


def test_a_now_is_epoch_seconds_or_a_time_with_its_zone() -> None:
    assert now(None) is None
    assert now("1700000000") == 1_700_000_000
    assert now("1700000000.25") == 1_700_000_000.25
    assert now("2023-11-14T22:13:20Z") == 1_700_000_000
    assert now("2023-11-14T23:13:20+01:00") == 1_700_000_000


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-1", "1e9", "9" * 30, "2023-11-14", "2023-11-14T22:13:20", "today"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert refusal(UsageError, now, text).startswith(f"--now '{text}' is no time; give epoch")


def test_an_empty_seed_is_refused() -> None:
    """It is a variable that the pipeline has not set: the shards would have different seeds."""

    @click.command()
    @seed_option
    def command(seed: str) -> str:
        return seed

    def seed(*words: str) -> Any:
        return command.main(words, standalone_mode=False)

    assert (seed(), seed("--seed", "17")) == ("", "17")
    assert (
        refusal(UsageError, seed, "--seed", " ") == "--seed is empty; give a text, or leave it out"
    )

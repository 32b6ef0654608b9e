"""CLIs as they are met, in containers: on a real engine, as a plain user and as root, in both isolations."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_image import judged, messages, row, rows

#: It asks for a login first, and then for the version, as the contract wants it.
PROBE = 'sh -c "claude auth status; claude --version >/dev/null && exit 0; exit 64"'
EXPECTED = {
    "cli/in-home/native": 0,
    "cli/killed-by/sigill": 64,
    "cli/leaves-a-child": 0,
    "cli/link/into-home": 0,
    "cli/link/npm": 0,
    "cli/several/fails-first": 64,
    "cli/several/not-executable-first": 0,
    "cli/writes/cache": 0,
}
#: Healthy stubs keep what they are asked; others do not know that it is a question.
ASKED = 4


@pytest.mark.parametrize("user", ["10001:10001", "0:0"])
@pytest.mark.parametrize("isolation", ["fresh", "shared"])
@pytest.mark.slow
def test_clis_are_where_their_states_say_and_keep_what_they_are_asked(
    reference_image: str, tmp_path: Path, isolation: str, user: str
) -> None:
    words = ["--isolation", isolation, "--user", user, "--entrypoint", PROBE]
    status, report, printed = judged(reference_image, tmp_path, *words, *EXPECTED)
    assert {id_: code for id_, (_, code, _) in rows(report).items()} == EXPECTED, printed
    assert (status, report["counts"]["conforms"]) == (0, len(EXPECTED)), printed
    assert report["asked"] == {"claude auth status": ASKED}
    assert "NOTE the probe asked a CLI 'claude auth status' (4 times): " in printed
    advice = [finding["level"] for finding in row(report, "cli/leaves-a-child")["findings"]]
    if isolation == "fresh":  # there everything ends with the first process
        assert advice == []
    else:
        assert advice == ["should"] * len(advice) != []
        left = messages(report, "cli/leaves-a-child")["left-cli-process"]
        assert left.endswith(": sleep 120; sleep 120")  # one for each question

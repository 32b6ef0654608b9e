"""What is captured of a home answers like the home itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from factories import bundled_catalogue
from msgspec.structs import replace
from support_capture_answers import CONTRACTS, Pair, Row, copy, differing, part, probes, scenarios

#: Parts of the catalogue; the day says which one is asked.
PARTS = 150

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="building homes with other owners takes root"
)


def test_right_and_wrong_probes_answer_in_a_copy_as_in_the_home(tmp_path: Path) -> None:
    """``python tests/bench/capture.py`` asks more of them, everywhere, and where there is something to wait for."""
    tmp_path.chmod(0o755)
    whole = bundled_catalogue()
    day = int(os.environ.get("CONFORMANCE_DAY") or time.time() // 86400)
    quick = [scenario for scenario in scenarios(whole) if not scenario.waits]
    # All right ones, and as many wrong ones as a test has time for.
    tried = probes(whole)
    tried = [*tried[: len(CONTRACTS)], *tried[len(CONTRACTS) + day % 10 :: 10]]

    pairs = [copy(scenario, whole, tmp_path) for scenario in part(quick, day % PARTS, PARTS)]

    assert pairs
    assert differing(pairs, whole, tried, tmp_path) == []


def test_an_answer_that_differs_is_seen_where_any_would_conform(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    whole = bundled_catalogue()
    scenario = whole.get("claude/nested-session")
    open_ = replace(scenario, expect={"slot": ("ready", "creds-missing")}, rules={})
    emptied = replace(open_, id="copy/emptied", entries=())
    [right] = [probe for probe in probes(whole) if probe.id == "slot/(base)"]

    found = differing([Pair(open_, emptied)], whole, [right], tmp_path)

    assert found == [Row("slot/(base)", scenario.id, "conforms", "wrong-verdict:65")]

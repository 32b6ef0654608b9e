"""What is captured of a home answers like the home itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from factories import bundled_catalogue
from support_capture_answers import CONTRACTS, copy, differing, part, probes, scenarios

#: Parts of the catalogue; the day says which one is asked.
PARTS = 150


@pytest.mark.skipif(os.geteuid() != 0, reason="building homes with other owners takes root")
def test_right_and_wrong_probes_answer_in_a_copy_as_in_the_home(tmp_path: Path) -> None:
    """``python tests/bench/capture.py`` asks them everywhere."""
    tmp_path.chmod(0o755)
    whole = bundled_catalogue()
    day = int(os.environ.get("CONFORMANCE_DAY") or time.time() // 86400)
    chosen = part(scenarios(whole), day % PARTS, PARTS)
    tried = probes(whole)
    # All right ones, and as many wrong ones as a test has time for.
    tried = [*tried[: len(CONTRACTS)], *tried[len(CONTRACTS) + day % 6 :: 6]]

    pairs = [copy(scenario, whole, tmp_path) for scenario in chosen]

    assert pairs
    assert differing(pairs, whole, tried, tmp_path) == []

"""Ask right and wrong probes in the homes of the catalogue, and in what is captured of them.

    python tests/bench/capture.py [PART/PARTS]

It prints every probe that answers otherwise in the copy, and ends with 1 if there is one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support_capture_answers import copy, differing, part, probes, scenarios

from conformance.catalogue.catalogue import load_catalogue


def main(argument: str = "0/1") -> int:
    """Return the exit status."""
    number, _, of = argument.partition("/")
    started, whole = time.monotonic(), load_catalogue()
    tried = probes(whole)
    chosen = part(scenarios(whole), int(number), int(of))
    found = []
    with tempfile.TemporaryDirectory() as top:
        directory = Path(top)
        directory.chmod(0o755)
        for scenario in chosen:
            pair = (scenario, copy(scenario, whole, directory))
            for row in differing([pair], whole, tried, directory):
                found.append(row)
                print(*row, sep="  ", flush=True)
    seconds = time.monotonic() - started
    print(f"{len(chosen)} homes, {len(tried)} probes, {seconds:.0f} s: {len(found)} answers differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

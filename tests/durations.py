"""Record how long each scenario takes with the reference probe: python tests/durations.py [CONTRACT...].

It writes tests/data/durations.json, by contract, which the tests of shards are held against. The machine should have
nothing else to do. The contracts that are not named keep what is there; cli-status has no probe of its own, and is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.catalogue import contracts

FILE = Path(__file__).parent / "data" / "durations.json"


def seconds_of(contract: str) -> dict[str, float]:
    """Return the seconds that each scenario of *contract* took which was judged here."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "report.json")
        command = [sys.executable, "-m", "conformance", "run", "--contract", contract]
        done = subprocess.run([*command, "--no-config", "--quiet", "--json", file], check=False)
        if done.returncode:
            sys.exit(f"the reference of {contract} does not conform here: is the machine busy?")
        rows = json.loads(file.read_bytes())["scenarios"]
    return {row["id"]: round(row["seconds"], 3) for row in rows if row["result"] == "conforms"}


def main() -> None:
    """Record the contracts that are named, by default all that have a reference probe."""
    have_one = [name for name, contract in contracts.bundled().items() if contract.reference]
    known = json.loads(FILE.read_bytes()) if FILE.exists() else {}
    for name in sys.argv[1:] or have_one:
        known[name] = seconds_of(name)
        lines = [f'"{each}": {json.dumps(known[each])}' for each in sorted(known)]
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()

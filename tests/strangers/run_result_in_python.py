"""What was an agent run worth? As one writes it in Python: line by line, with the text decoded leniently."""

import json
import os
import sys
from pathlib import Path

DONE, FAILED, AUTH_LOST = 0, 67, 68
MARKERS = ("not logged in", "/login", "unauthorized", "401")


def messages(line: str) -> dict[str, object]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def main() -> int:
    path = Path(os.environ.get("ORCH_RUN_LOG") or os.devnull)
    good = marked = False
    try:
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace", newline="\n") as log:
                for line in log:
                    low = line.lower()
                    marked = marked or any(marker in low for marker in MARKERS)
                    if low.lstrip().startswith("{"):
                        message = messages(line)
                        if message.get("type") == "result":
                            good = message.get("is_error") is False
    except OSError:
        pass
    if good and os.environ.get("ORCH_RUN_EXIT_CODE", "").strip() == "0":
        return DONE
    return AUTH_LOST if marked else FAILED


sys.exit(main())

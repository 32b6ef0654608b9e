#!/usr/bin/env python3
"""Vice: every second answer is wrong. It counts in the file that COUNTER_FILE names; without one, the clock decides."""

import os
import sys
import time

from _reference import slot


def turn() -> int:
    """Return the number of this answer, from 1."""
    path = os.environ.get("COUNTER_FILE")
    if not path:
        return time.time_ns() // 1_000_000
    with open(path, "ab") as counter:
        counter.write(b".")
        counter.flush()
        return counter.tell()


code = slot.main()
if turn() % 2 == 0:
    code = slot.CREDS_MISSING if code == slot.READY else slot.READY
sys.exit(code)

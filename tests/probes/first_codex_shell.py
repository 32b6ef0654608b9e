#!/usr/bin/env python3
"""The defect of the first probe of codex-shell#21: for claude only ~/.claude/credentials.json counts."""

import os
import sys

from _reference import slot

check_claude = slot.check_claude


def check_one_name(home: str) -> None:
    """Refuse whatever has no file of this one name; what the reference refuses, refuse for its reason."""
    check_claude(home)
    if not os.path.isfile(os.path.join(home, ".claude", "credentials.json")):
        raise slot.NotReady(
            slot.CREDS_MISSING, "nobody has logged in: there is no ~/.claude/credentials.json"
        )


slot.CREDENTIALS["claude"] = check_one_name
sys.exit(slot.main())

#!/usr/bin/env python3
"""The start-up probe that codex-shell merged, made anew from what is known of it: all its defects, or those named."""

import sys

from _codex_shell import main

DEFECTS = {
    "agent-stripped",
    "blank-output-crashes",
    "closed-passed-over",
    "dot-claude-assumed",
    "exec-errors-uncaught",
    "fifo-waited-for",
    "links-followed",
    "not-utf8-uncaught",
    "permission-uncaught",
    "pipe-waited-for",
    "recursion-uncaught",
    "signals-pass",
    "status-disagrees",
}

if __name__ == "__main__":
    sys.exit(main(DEFECTS))

#!/usr/bin/env python3
"""The first start-up probe of codex-shell, made anew from what is known of it: all its defects, or those named."""

import sys

from _codex_shell import main

DEFECTS = {
    "agent-required",
    "cli-left-running",
    "empty-output-crashes",
    "exec-errors-uncaught",
    "fifo-waited-for",
    "home-required",
    "not-utf8-uncaught",
    "output-decoded",
    "permission-uncaught",
    "pinned-name",
    "recursion-uncaught",
    "timeout-uncaught",
}

if __name__ == "__main__":
    sys.exit(main(DEFECTS))

#!/usr/bin/env python3
"""Vice: it leaves a process in a session of its own, which sleeps for ten minutes. Its answer is right."""

import os
import sys
import time

from _reference import slot


def leave_process() -> None:
    """Fork twice, as a daemon does, and hold on to none of our files."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        time.sleep(600)
    os._exit(0)


leave_process()
sys.exit(slot.main())

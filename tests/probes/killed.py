#!/usr/bin/env python3
"""Vice: a signal ends it before it answers, as the kernel does when memory runs out."""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)

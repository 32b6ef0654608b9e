#!/usr/bin/env python3
"""Vice: it never answers, and only a kill ends it."""

import signal
import time

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
while True:
    time.sleep(60)

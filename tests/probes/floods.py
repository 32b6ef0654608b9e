#!/usr/bin/env python3
"""Vice: it writes without end."""

import os

while True:
    os.write(1, b"all is well, " * 1000 + b"\n")

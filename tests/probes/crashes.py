#!/usr/bin/env python3
"""Vice: it ends with a traceback."""

raise RuntimeError("this probe always crashes")

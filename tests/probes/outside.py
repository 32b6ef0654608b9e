#!/usr/bin/env python3
"""Vice: its answer is a number that no contract knows."""

import sys

sys.exit(3)

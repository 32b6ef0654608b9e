#!/usr/bin/env python3
"""Vice: it leaves a file in the HOME. Its answer is right."""

import os
import sys

from _reference import slot

code = slot.main()
with open(os.path.join(os.environ["HOME"], "probe.log"), "a", encoding="utf-8") as log:
    log.write(f"answered {code}\n")
sys.exit(code)

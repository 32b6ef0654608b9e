"""Reports as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.errors import CannotJudge
from conformance.files import replace_text
from conformance.report.stream import silence

__all__ = ["write_json"]


def write_json(document: Mapping[str, Any], file: str) -> None:
    """Write *document* to *file*, in one step, or to standard output for ``-``.

    :raises CannotJudge: it cannot be written.
    """
    text = json.dumps(document, indent=2) + "\n"
    if file == "-":
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as e:
            silence(sys.stdout)
            raise CannotJudge(f"the report cannot be written to standard output: {e.strerror}") from None
        return
    replace_text(Path(file), text)

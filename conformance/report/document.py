"""Reports for machines, and where they are written."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from conformance.errors import CannotJudge
from conformance.files import replace_text
from conformance.report.stream import silence

__all__ = ["write_all", "write_json", "write_text"]


def write_json(document: Mapping[str, Any], file: str) -> None:
    """Write *document* to *file*, in one step, or to standard output for ``-``.

    :raises CannotJudge: it cannot be written.
    """
    write_text(json.dumps(document, indent=2) + "\n", file)


def write_text(text: str, file: str) -> None:
    """Write *text* to *file*, in one step, or to standard output for ``-``.

    :raises CannotJudge: it cannot be written.
    """
    if file == "-":
        if getattr(sys.stdout, "name", "") == os.devnull:
            raise CannotJudge("the report cannot be written: standard output is closed")
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as e:
            silence(sys.stdout)
            cause = f"the report cannot be written to standard output: {e.strerror}"
            raise CannotJudge(cause) from None
        return
    replace_text(Path(file), text)


def write_all(writes: Iterable[Callable[[], None]]) -> None:
    """Call each of *writes*, even if one of them fails.

    :raises CannotJudge: at least one report cannot be written; the error names them all.
    """
    failures = []
    for write in writes:
        try:
            write()
        except CannotJudge as e:
            failures.append(str(e))
    if failures:
        raise CannotJudge("; ".join(failures))

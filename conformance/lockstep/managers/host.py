"""Ask a Python object what it does with exit codes.

This runs in a process of its own, and imports nothing of the package. Arguments: the module, the
name in it, and the codes. Answers are JSON lines on what was standard output; what the module
itself prints goes to standard error. The first line is empty, or says why nothing can be asked.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

LONGEST = 300


def main(module: str, name: str, *codes: str) -> None:
    """Write an answer for each of *codes*."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    # A Manager that is out of time ends, and does not answer with a KeyboardInterrupt.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.dont_write_bytecode = True  # asking leaves nothing behind
    sys.path.insert(0, os.getcwd())

    def write(**line: Any) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    try:
        found: Any = importlib.import_module(module)
    except BaseException as e:
        if is_missing(module, e):
            write(missing=f"no module '{module}'")
        else:
            write(failed=words(e))
        return
    for part in name.split("."):
        if not hasattr(found, part):
            write(missing=f"module '{module}' has no '{name}'")
            return
        found = getattr(found, part)
    ask = asker(found)
    if ask is None:
        write(missing=f"'{module}:{name}' is neither a mapping nor callable")
        return
    write()
    for code in map(int, codes):
        try:
            write(code=code, said=plain(ask(code)))
        except BaseException as e:
            write(code=code, raised=words(e))


def is_missing(module: str, error: BaseException) -> bool:
    """Tell whether *error* says that *module*, or a package it is in, does not exist."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return False
    return f"{module}.".startswith(f"{error.name}.")


def asker(found: Any) -> Callable[[int], Any] | None:
    """Return how to ask *found* for a code; None where it cannot be asked."""
    if isinstance(found, Mapping):
        return lambda code: look_up(found, code)
    return found if callable(found) else None


def look_up(table: Mapping[Any, Any], code: int) -> Any:
    """Return what *table* has for *code*: under the number, its text, or as the default."""
    for key in (code, str(code), "default"):
        try:
            return table[key]
        except KeyError:
            continue
    return None


def plain(value: Any) -> Any:
    """Return *value* as JSON has it, if it is None, a text, or a table of an action with labels.

    Anything else becomes a description and the name of its type.
    """
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, str) else value.name
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)[:LONGEST]
    if isinstance(value, Mapping) and set(value) <= {"action", "labels"}:
        labels = value.get("labels", ())
        if isinstance(labels, (list, tuple, set, frozenset)):
            named = [plain(label) for label in labels]
            return {"action": plain(value.get("action")), "labels": named[:20]}
    return [repr(value)[:LONGEST], type(value).__name__]


def words(error: BaseException) -> str:
    """Return *error* in one line, without the text of a file it may quote."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST].removesuffix(":")


if __name__ == "__main__":
    main(*sys.argv[1:])

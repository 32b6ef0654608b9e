"""Call a Python callable as the probe: a separate program that imports nothing from the package.

    python -I callable_host.py MODULE NAME DIRECTORY [TRUE,FALSE]
    python -I callable_host.py MODULE NAME DIRECTORY --look

The search for the module starts in DIRECTORY. The callable is called without arguments, as the
script of an entry point does it: ``sys.exit(NAME())``. TRUE and FALSE are the exit codes of truth
values; without them a truth value is no answer. With ``--look`` nothing is called: the callable is
only looked up.

By this program people repeat a run by hand. The suite forks a process that has the module already:
``hosted.py``, which takes its parts from here.
"""

from __future__ import annotations

import collections.abc
import importlib
import os
import sys
import types
from typing import Any

#: The exit code when there is nothing to call; stderr says why.
NOTHING_TO_CALL = 3


class NoAnswer(Exception):  # it never leaves this package
    """What the callable returned says nothing; the text is one line for people."""


def find(module: str, name: str) -> Any:
    """Import *module* and return what *name*, which may have dots, is in it."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def prepare(name: str, directory: str) -> None:
    """Make this process one in which a script of an entry point would call *name*."""
    sys.dont_write_bytecode = True  # a probe leaves nothing behind
    sys.path.insert(0, directory)
    sys.argv = [name]
    sys.modules["__main__"] = types.ModuleType("__main__")


def answer(module: str, name: str, truth: tuple[int, int] | None) -> int:
    """Call *name* of *module*; return the exit code that its answer means.

    *truth* holds the codes of true and false.

    :raises NoAnswer: the answer means none. Whatever the callable raises travels on.
    """
    result = find(module, name)()
    if isinstance(result, collections.abc.Coroutine):
        import asyncio  # noqa: PLC0415 - it takes longer than most probes

        result = asyncio.run(result)
    return code_of(result, f"{module}:{name}", truth)


def code_of(result: Any, named: str, truth: tuple[int, int] | None) -> int:
    """Return the exit code that a *result* means, as :func:`answer` does."""
    said = result
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], bool):
        said, reason = result
    else:
        reason = None
    if isinstance(said, bool):
        if truth is None:
            what = "a pair with a truth value" if said is not result else str(said)
            raise NoAnswer(
                f"{named} returned {what}, and nothing says which exit code that means; "
                "--truth TRUE,FALSE does"
            )
        if reason is not None:
            sys.stderr.write(f"{reason}\n")
        return truth[0] if said else truth[1]
    if result is None:
        return 0
    if isinstance(result, int):
        return int(result)
    # The value itself may hold a credential.
    raise NoAnswer(f"{named} returned {kind_of(result)}, which is no exit code")


def kind_of(result: Any) -> str:
    """Return the kind of a *result* in words."""
    kind = type(result)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    return f"an object of the type {name}"


def look(module: str, name: str) -> int:
    """Say on stderr what is wrong with *name* in *module*; return the exit code for that.

    What may come out otherwise in the home of a scenario is not wrong.
    """
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as e:
        if not f"{module}.".startswith(f"{e.name}."):
            raise
        return nothing(f"no module '{module}'")
    except (ImportError, SyntaxError):
        raise
    except BaseException:
        return 0  # what it reads while it is imported is not there
    for part in name.split("."):
        if not hasattr(found, part):
            return nothing(f"module '{module}' has no '{name}'")
        found = getattr(found, part)
    return 0 if callable(found) else nothing(f"'{module}:{name}' cannot be called")


def nothing(why: str) -> int:
    """Say *why* there is nothing to call; return the exit code for that."""
    sys.stderr.write(f"{why}\n")
    return NOTHING_TO_CALL


def main(module: str, name: str, directory: str, *more: str) -> int:
    """Return the exit code of the probe."""
    prepare(name, directory)
    if more == ("--look",):
        return look(module, name)
    truth = None
    for pair in more:
        true, _, false = pair.partition(",")
        truth = (int(true), int(false))
    try:
        return answer(module, name, truth)
    except NoAnswer as e:
        sys.stderr.write(f"{e}\n")
        return 1


if __name__ == "__main__":
    # What belongs to this program is not to be found by the probe.
    sys.path[:] = [place for place in sys.path if place != os.path.dirname(__file__)]
    sys.exit(main(*sys.argv[1:]))

"""Names of files: known ones are kept, others become made-up ones, the same wherever they stand."""

from __future__ import annotations

import re

from conformance.capture.known import Known
from conformance.capture.shapes import FILLER

__all__ = ["ENDINGS", "Names"]

#: Endings of names that say what kind of file it is, and nothing else.
ENDINGS = """
.bak .backup .cfg .conf .credentials .css .csv .db .example .gz .html .ini .js .json .json5
.jsonc .jsonl .key .link .lock .log .md .mjs .new .old .orig .pem .pid .py .save .sh .sock
.sqlite .swp .tar .template .tmp .toml .ts .txt .yaml .yml ~
""".split()  # noqa: SIM905 - a list would be one word a line
#: Names longer than this keep their length: file systems and programs have limits.
_LONG = 64
_LONGEST = 255
_PLAIN_PARTS = ("", ".", "..")


class Names:
    """What the names in one home become."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.made = 0
        """How many names have been made up."""
        self._parts: dict[bytes, str] = {}
        self._paths: dict[bytes, str] = {}

    def is_known(self, name: bytes) -> bool:
        """Return whether *name* is kept as it is."""
        text = name.decode("utf-8", "surrogateescape")
        return text in _PLAIN_PARTS or ("{" not in text and self._known.is_name(text))

    def path(self, path: bytes) -> str:
        """Return what a *path* becomes, with placeholders for bytes that are no text."""
        if path not in self._paths:
            self._paths[path] = "/".join(map(self.part, path.split(b"/")))
        return self._paths[path]

    def part(self, name: bytes) -> str:
        """Return what one *name* of a path becomes."""
        if name not in self._parts:
            if self.is_known(name):
                self._parts[name] = name.decode()
            else:
                self.made += 1
                self._parts[name] = _made_up(name, self.made)
        return self._parts[name]


def _made_up(name: bytes, number: int) -> str:
    """Return a name that looks to a program as *name* does: hidden, its ending, odd characters."""
    text = name.decode("utf-8", "surrogateescape")
    start = "." if text.startswith(".") else ""
    if text.startswith("-"):
        start = "-"
    ending = max((e for e in ENDINGS if text.lower().endswith(e)), key=len, default="")
    ending = ending if len(start + ending) < len(text) else ""
    odd = _odd(text)
    made = f"{start}entry-{number}{odd}"
    length = len(name)
    if length > _LONG:
        taken = len(made.replace("{byte:e9}", "b").encode()) + len(ending)
        made += FILLER * (min(length, _LONGEST) - taken)
    return made + ending


def _odd(text: str) -> str:
    """Return one of each kind of character in *text* that programs stumble over."""
    found = ""
    if re.search("[\udc80-\udcff]", text):
        found += "{byte:e9}"
    if re.search("[^\x00-\x7f\udc80-\udcff]", text):
        found += "\u00e9"
    for character in " \n'\"*$\\":
        if character in text:
            found += character
    return found

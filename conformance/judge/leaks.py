"""Find credential values in what a probe printed, plain or encoded."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote_to_bytes

__all__ = ["leaks"]


def leaks(output: bytes, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names of the *secrets* in *output*, each with how it is written there.

    The value may be written as it is, backwards, as hexadecimal digits or as base64 at any offset;
    each of these also percent-encoded, with JSON escapes, or split by white space or line breaks.
    """
    if not output.strip():
        return []
    found = []
    readings = list(_readings(output))
    for name, value in secrets.items():
        if how := _how_written(value.encode(), readings):
            found.append((name, how))
    return found


def _how_written(value: bytes, readings: Sequence[tuple[str, bytes]]) -> str:
    """Return how *value* is written in one of *readings*, or an empty string if it is in none."""
    for how, needle in _writings(value):
        for reading, text in readings:
            if needle in text:
                return f"{how} {reading}".strip() or "plain"
    return ""


def _readings(output: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield *output* as it is, and with each kind of wrapping undone."""
    plain = {
        "": output,
        "percent-encoded": unquote_to_bytes(output),
        "with JSON escapes": _without_escapes(output),
    }
    for how, text in plain.items():
        joined = re.sub(rb"[\s\0:]+|\\[nrt]", b"", text)
        # Hexadecimal digits are compared in lower case.
        yield how, text + b"\n" + text.lower()
        yield f"{how} split".strip(), joined + b"\n" + joined.lower()


def _without_escapes(output: bytes) -> bytes:
    escape = rb"(?<!\\)\\+u00([0-9a-fA-F]{2})"
    output = re.sub(escape, lambda match: bytes.fromhex(match[1].decode()), output)
    return output.replace(b"\\/", b"/")


def _writings(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "", value
    yield "backwards", value[::-1]
    yield "in hexadecimal", value.hex().encode()
    for offset, start in enumerate((0, 2, 3)):
        padded = b"\0" * offset + value
        encoded = base64.b64encode(padded)
        # The first and last characters also carry bits of what surrounds the value.
        end = len(encoded) - 4 if len(padded) % 3 else len(encoded)
        core = encoded[start:end]
        yield "in base64", core
        if b"+" in core or b"/" in core:
            yield "in base64", core.translate(bytes.maketrans(b"+/", b"-_"))

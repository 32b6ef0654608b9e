"""Find credential values in what a probe printed, plain or encoded."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

__all__ = ["leaks"]


def leaks(output: bytes, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names of *secrets* that stand in *output*, each with the way it is written there.

    Looked for: the value as it is, backwards, as hexadecimal digits, as base64 at any offset; all of these also
    percent-encoded, with JSON escapes, and split by white space or line breaks.
    """
    if not output.strip():
        return []
    found = []
    texts = list(_readings(output))
    for name, value in secrets.items():
        for how, needle in _writings(value.encode()):
            reading = next((reading for reading, text in texts if needle in text), None)
            if reading is not None:
                found.append((name, " ".join(filter(None, (how, reading))) or "plain"))
                break
    return found


def _readings(output: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield *output* as it stands and with each kind of wrapping undone."""
    plain = {
        "": output,
        "percent-encoded": unquote_to_bytes(output),
        "with JSON escapes": _without_escapes(output),
    }
    for how, text in plain.items():
        # Hexadecimal digits are compared in lower case; a value split over lines is put together again.
        for split, joined in (("", text), ("split", re.sub(rb"[\s\0:]+|\\[nrt]", b"", text))):
            yield " ".join(filter(None, (how, split))), joined + b"\n" + joined.lower()


def _without_escapes(output: bytes) -> bytes:
    output = re.sub(rb"(?<!\\)\\+u00([0-9a-fA-F]{2})", lambda m: bytes.fromhex(m[1].decode()), output)
    return output.replace(b"\\/", b"/")


def _writings(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "", value
    yield "backwards", value[::-1]
    yield "in hexadecimal", value.hex().encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + value)
        # The first and last characters also carry bits of what stands beside the value.
        core = encoded[(0, 2, 3)[offset] : len(encoded) - (4 if (offset + len(value)) % 3 else 0)]
        yield "in base64", core
        if b"+" in core or b"/" in core:
            yield "in base64", core.translate(bytes.maketrans(b"+/", b"-_"))

"""Read the answer from the JSON document that a probe prints, where a contract says so."""

from __future__ import annotations

import json
from typing import Any

from conformance.model.contract import DocumentAnswer

__all__ = ["NoAnswerError", "document_answer"]

#: How much of a value that means nothing is shown, in characters.
_SHOWN = 60


class NoAnswerError(Exception):
    """What the probe printed holds no answer; the text says why."""


def document_answer(where: DocumentAnswer, stdout: bytes) -> str:
    """Return the verdict that the document on *stdout* gives.

    The document is all of *stdout*, or its last line that is a JSON object: other lines are a log.

    :raises NoAnswerError: there is no such document, or its answer is none of the contract.
    """
    value = _member(_document(stdout), where.member)
    text = value if isinstance(value, str) else json.dumps(value)
    if text in where.values:
        return where.values[text]
    shown = json.dumps(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    raise NoAnswerError(f"{where.member} on stdout is {shown}, which means nothing")


def _document(stdout: bytes) -> Any:
    text = stdout.decode(errors="replace")
    for candidate in (text, *reversed(text.splitlines())):
        try:
            document = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            return document
    raise NoAnswerError("stdout holds no JSON object")


def _member(document: Any, pointer: str) -> Any:
    """Return the member that *pointer* (RFC 6901) names."""
    value = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            raise NoAnswerError(f"the document on stdout has no {pointer}")
    return value

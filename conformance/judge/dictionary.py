"""The fault dictionary: what each wrong probe of the bank answers, scenario by scenario.

There is one file for each contract that has wrong probes. What a run has found is compared with it
to say which vice explains the deviations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from conformance.bundled import fixtures_dir
from conformance.catalogue.toml import read_toml
from conformance.errors import FileError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult

__all__ = [
    "Dictionary",
    "KnownVices",
    "dictionary_file",
    "known_vices",
    "read_dictionary",
    "signature",
    "vice_texts",
]

_MADE_BY = "it is made by a command of the suite, and not by hand"


class Dictionary(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the wrong probes of one contract answer."""

    contract: str
    version: str
    """The version of the contract."""
    scenarios: tuple[str, ...]
    """The ids of the scenarios in which they ran, sorted."""
    vices: dict[str, dict[str, tuple[int, ...]]]
    """Name of a wrong probe to signature, to positions in :attr:`scenarios`.

    Where no signature names a scenario, the wrong probe conforms there.
    """
    unsteady: tuple[str, ...] = ()
    """Wrong probes whose answers differ from run to run."""
    made_from: dict[str, Any] = {}
    """Digests of what it was made from, for whoever renews it."""


class KnownVices(Struct, frozen=True):
    """The dictionary that fits a contract: its own, or that of the nearest ancestor with one."""

    dictionary: Dictionary
    contract: Contract
    """The contract that its wrong probes were judged by."""


_DICTIONARY = Decoder(Dictionary)


def signature(result: ScenarioResult) -> str:
    """Return what was answered in a scenario that has findings; empty where there is none.

    That is the kinds of findings in order, each once, joined by ``+``; then ``:``, and the exit
    code, else ``signal N``, else the verdict, else nothing. Advice counts, so that a run that is
    strict and one that is not have the same signatures.
    """
    kinds = dict.fromkeys(finding.kind for finding in result.findings)
    return f"{'+'.join(kinds)}:{_answer(result)}" if kinds else ""


def _answer(result: ScenarioResult) -> str:
    if result.code is not None:
        return str(result.code)
    if result.signal is not None:
        return f"signal {result.signal}"
    return result.verdict or ""


def dictionary_file(contract: str) -> Path:
    """Return where the dictionary of the *contract* with that name lies, if it has one."""
    return fixtures_dir() / "dictionary" / f"{contract}.json"


def known_vices(contract: Contract, contracts: Mapping[str, Contract]) -> KnownVices | None:
    """Return the vices that *contract* knows, or the nearest one it extends; None without any.

    *contracts* are the bundled ones by name.

    :raises FileError: the dictionary cannot be read.
    """
    for name in contract.lineage:
        path = dictionary_file(name)
        if name in contracts and path.is_file():
            return KnownVices(read_dictionary(path), contracts[name])
    return None


def vice_texts(contract: str) -> dict[str, str]:
    """Return what each bundled wrong probe of a contract does wrong, in a sentence, by its name.

    :raises FileError: the bank cannot be read.
    """
    table: dict[str, Any] = read_toml(fixtures_dir() / "wrong-probes" / f"{contract}.toml")
    wrong: dict[str, Any] = table.get("wrong", {})
    return {name: str(entry["vice"]) for name, entry in wrong.items()}


def read_dictionary(path: Path) -> Dictionary:
    """Return the dictionary in *path*.

    :raises FileError: it cannot be read, or says what cannot be.
    """
    name = str(path)
    try:
        found = _DICTIONARY.decode(path.read_bytes())
    except OSError as e:
        raise FileError(name, f"cannot be read: {e.strerror}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise FileError(name, f"is no fault dictionary: {str(e)[:200]}", hint=_MADE_BY) from None
    for key, wrong in _mistakes(found):
        raise FileError(name, wrong, key=key, hint=_MADE_BY)
    return found


def _mistakes(found: Dictionary) -> Iterable[tuple[str, str]]:
    """Yield the key of what cannot be, and what is wrong with it."""
    if list(found.scenarios) != sorted({*found.scenarios}):
        yield "scenarios", "is not sorted, or names a scenario twice"
    for name, answers in found.vices.items():
        if wrong := _mistake(answers, len(found.scenarios)):
            yield f"vices.{name}", wrong
    for name in found.unsteady:
        if name not in found.vices:
            yield "unsteady", f"there is no vice '{name}'"


def _mistake(answers: Mapping[str, Sequence[int]], scenarios: int) -> str:
    positions = [place for places in answers.values() for place in places]
    if len({*positions}) < len(positions):
        return "answers a scenario twice"
    if positions and not 0 <= min(positions) <= max(positions) < scenarios:
        return f"names a scenario that is not among the {scenarios}"
    for text in answers:
        if not text.partition(":")[0] or ":" not in text:
            return f"'{text}' is no signature"
    return ""

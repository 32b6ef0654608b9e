"""Scenario files to start from, and what reading them says."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, load_catalogue, select
from conformance.errors import ManyErrors
from conformance.model.contract import Contract

SLOT = contracts.load("slot")
PREFLIGHT = contracts.load("preflight")
TOP = 'summary = "x"\norigin = "x"\nagent = "claude"\n'
READY = TOP + 'control = "claude/baseline-only"\n[expect]\nslot = "ready"\n'


def write(directory: Path, **files: str) -> Path:
    """Write scenario files into *directory*: ``a__b`` is the file ``a/b.toml``. Return the directory."""
    for name, text in files.items():
        path = directory / f"{name.replace('__', '/').replace('_', '-')}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def own_contract(
    directory: Path, text: str = 'name = "own"\nversion = "1"\nsummary = "x"\nextends = "slot"\n'
) -> Contract:
    (directory / "own.contract").write_text(text)
    return contracts.load("own.contract", base=directory)


def lines(*directories: Path, contract: Contract | None = None) -> list[str]:
    """Return what is wrong with the scenarios below *directories*."""
    with pytest.raises(ManyErrors) as caught:
        load_catalogue(directories, contract=contract)
    return caught.value.lines()


def selected(
    catalogue: Catalogue, *patterns: str, contract: Contract = SLOT, **where: bool
) -> list[str]:
    return [scenario.id for scenario in select(catalogue, patterns, contract, **where)]

"""What the rules of wiring say of a manifest."""

from __future__ import annotations

from typing import Any

from factories import bundled_catalogue

from conformance.catalogue import contracts
from conformance.wiring.check import Checked, check
from conformance.wiring.commands import Recogniser
from conformance.wiring.image import ImageView
from conformance.wiring.runs import Request
from conformance.wiring.structure import open_structure
from conformance.wiring.tree import read_documents

STRUCTURE = open_structure()
CONTRACTS = contracts.bundled()


def request(contract: str = "slot", probe: tuple[str, ...] = (), **more: Any) -> Request:
    """Return what the command makes of its options."""
    known = CONTRACTS[contract]
    scenarios = bundled_catalogue().scenarios
    return Request(
        contract=known,
        recogniser=Recogniser(probe, tuple(known.commands.values()), known.reference),
        any_file_is_login="ready" in scenarios["claude/artifact-not-json"].expected(known),
        **more,
    )


def checked(text: str, contract: str = "slot", **more: Any) -> Checked:
    return check(read_documents("pod.yaml", text), request(contract, **more), STRUCTURE)


def rules(found: Checked) -> set[str]:
    return {finding.rule for finding in found.findings}


def image(**more: object) -> ImageView:
    values: dict[str, object] = {
        "reference": "slot-image:ci",
        "environment": {"PATH": "/bin"},
        "entrypoint": ("/entrypoint.sh",),
        "user": "10001",
        "uid": 10001,
        "home": "/home/agent",
    }
    return ImageView(**{**values, **more})  # type: ignore[arg-type]

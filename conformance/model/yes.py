"""Which verdicts of a contract say yes: there is a login, and it can be used."""

from __future__ import annotations

from conformance.model.contract import Contract

__all__ = ["verdicts_of_yes"]

#: What such verdicts are called where none of a contract has the exit code 0.
_NAMES = frozenset({"ready", "logged-in", "go"})


def verdicts_of_yes(contract: Contract) -> frozenset[str]:
    """Return the verdicts of *contract* that say yes.

    Those are the ones with the exit code 0. A contract of the user's own may give it to none: then
    they are known by their names.
    """
    names = {verdict.name for verdict in contract.verdicts}
    return frozenset(contract.verdicts_of(0)) or _NAMES & names

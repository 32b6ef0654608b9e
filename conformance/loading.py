"""The one place that gives scenarios with what a contract calls for in them.

The files of the catalogue say that for the bundled contracts. Under a contract of the user's own,
the rules that it changes may come to something else together than each scenario cites, so whoever
asks what a scenario expects takes the catalogue from here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from conformance.catalogue.catalogue import Catalogue, check_controls, read_catalogue, same_case
from conformance.catalogue.contracts import is_bundled
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["catalogue_under", "scenario_under", "under_contract"]


def catalogue_under(
    contract: Contract | None,
    directories: Iterable[Path] = (),
    *,
    files: Iterable[Path] = (),
    now: float | None = None,
) -> Catalogue:
    """Return the catalogue with what *contract* calls for; None for the bundled contracts alone.

    It has the bundled scenarios, those below *directories*, and those in *files*. Times in homes
    are those of a run that starts *now*, in epoch seconds; without it, of one that does so at once.

    :raises ManyErrors: names every file that is wrong, one line each.
    """
    catalogue = read_catalogue(directories, contract=contract, files=files)
    if contract is not None:
        catalogue = under_contract(catalogue, contract, now)
    check_controls(catalogue)
    return catalogue


def under_contract(catalogue: Catalogue, contract: Contract, now: float | None = None) -> Catalogue:
    """Return *catalogue*, as it was read, with what *contract* calls for in its scenarios."""
    if is_bundled(contract.name):
        return catalogue
    # Imported here: whoever asks for a bundled contract does without.
    from conformance.specification.policy import under_policy  # noqa: PLC0415

    context = Context(now=time.time() if now is None else now, seed="")
    return under_policy(catalogue, contract, context)


def scenario_under(
    contract: Contract, scenario: Scenario, catalogue: Catalogue, now: float | None = None
) -> Scenario:
    """Return *scenario* with what *contract* calls for, under which *catalogue* was loaded.

    That is the one in there, unless the scenario was read from a file that lies elsewhere.
    """
    known = catalogue.scenarios.get(scenario.id)
    if known is not None and same_case(scenario, known):
        return known
    alone = catalogue.with_scenarios({scenario.id: scenario})
    return under_contract(alone, contract, now).get(scenario.id)

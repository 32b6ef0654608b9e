"""What other projects may import from this package: see :mod:`conformance`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import select
from conformance.loading import catalogue_under
from conformance.model.outcome import Outcome
from conformance.run.fixtures import FakeHome

__all__ = ["FakeHome", "Outcome", "scenarios"]


def scenarios(
    contract: str = "slot",
    *,
    agent: str = "",
    scenarios: Iterable[str | os.PathLike[str]] = (),
    only: Iterable[str] = (),
) -> list[str]:
    """Return the ids of the scenarios of *contract*, for ``pytest.mark.parametrize``.

    :param contract: the name of a bundled contract, or the path of a contract file.
    :param agent: only the scenarios of this agent; empty for all.
    :param scenarios: directories with scenarios of your own, besides the bundled ones. Give them to
        pytest as well, with ``--conformance-scenarios``, so that the fixtures find them.
    :param only: ids, or globs with ``*`` and ``?``; none for all.

    What only a container can show is left out, unless *only* names it by its id.

    :raises conformance.errors.ConformanceError: there is no such contract or agent, a file is
        wrong, or nothing is left; the message says which, in one line.
    """
    whole = contracts.load(contract)
    chosen = contracts.for_agent(whole, agent)
    catalogue = catalogue_under(whole, map(Path, scenarios))
    return [found.id for found in select(catalogue, tuple(only), chosen, containers=False)]

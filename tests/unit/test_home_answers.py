"""What is left out of a large HOME changes no answer: a home of the catalogue is judged as what would be read of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.home import keeping
from conformance.home.keeping import Keeping
from conformance.home.reading import read_home
from conformance.home.seen import SeenHome
from conformance.home.visible import Wanted
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.specification import Case, case_of, decide

CONTRACTS = ("slot", "slot-strict", "preflight")
CONTEXT = Context(now=1_800_000_000, seed="seed")


class PlannedHome:
    """A HOME that is only thought of, as a source to read it from."""

    def __init__(self, case: Case) -> None:
        self.path = case.home_path
        self._home = case.home

    def look(self, wanted: Wanted) -> SeenHome:
        found = Keeping(wanted)
        for path, node in self._home.nodes.items():
            read = node.size <= wanted.bytes_read(path) > 0
            found.add(node if read else replace(node, content=None))
        return found.home(self._home.read_at)


def answer(case: Case, contract: Contract) -> tuple[str, tuple[str, ...]]:
    """Return the rule that decides, and the verdicts that it calls for."""
    decision = decide(case, contract)
    assert decision is not None
    return decision.rule, decision.verdicts


@pytest.mark.slow
@pytest.mark.in_turn(3)
@pytest.mark.parametrize("name", CONTRACTS)
def test_what_is_left_out_changes_no_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_ENTRIES", 2)
    monkeypatch.setattr(keeping, "MAX_NODES", 12)
    contract = contracts.bundled()[name]
    left_out = 0
    for scenario in load_catalogue().in_contract(contract):
        case = case_of(scenario, contract, CONTEXT)
        named = (case.env.get("CLAUDE_CONFIG_DIR"), case.env.get("CODEX_HOME"))
        paths = [path for path in (*named, case.inputs.get("override")) if path]
        read = read_home(PlannedHome(case), paths).seen
        left_out += len(case.home.nodes) - len(read.nodes)
        assert (scenario.id, *answer(replace(case, home=read), contract)) == (
            scenario.id,
            *answer(case, contract),
        )
    assert left_out > 1_000

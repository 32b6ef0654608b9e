"""What was expected and what was answered, in the words that runs use, from a saved report."""

from __future__ import annotations

from conformance.model.contract import Contract
from conformance.model.wording import expectation, signal_name
from conformance.report.saved import SavedRow

__all__ = ["answer_words", "expected_words", "got_words", "meaning"]


def expected_words(row: SavedRow, contract: Contract | None) -> str:
    """Return the answers that conform; without the *contract*, as far as the report says them."""
    known = {verdict.name for verdict in contract.verdicts} if contract is not None else set()
    if contract is not None and known.issuperset(row.expected):
        return expectation(contract, row.expected)
    codes = ", ".join(map(str, row.expected_codes))
    return " or ".join(row.expected) + (f" ({codes})" if codes else "")


def got_words(row: SavedRow, contract: Contract | None) -> str:
    """Return what was answered, or why nothing was."""
    if row.result == "unsupported":
        return "did not run"
    if row.result == "broke":
        return "not judged"
    if wrong := next((step for step in row.steps if step.get("wrong")), None):
        return f"step {wrong.get('number', '?')}: {wrong.get('got') or 'no answer'}"
    return answer_words(row, contract)


def answer_words(row: SavedRow, contract: Contract | None = None) -> str:
    """Return how a probe that was judged has ended; without the *contract*, with its exit code."""
    if row.code is not None:
        coded = contract is None or (contract.exit_code_answers and contract.entrypoint is None)
        if row.verdict is None:
            return f"exit code {row.code}"
        return f"{row.verdict} ({row.code})" if coded else row.verdict
    if row.signal is not None:
        return f"killed by {signal_name(row.signal)}"
    if any(finding.kind == "timed-out" for finding in row.findings):
        return "no answer in time"
    return row.verdict or "no answer"


def meaning(row: SavedRow, contract: Contract | None) -> str:
    """Return what an answer means, so that it can be compared with that of another probe."""
    return row.verdict or got_words(row, contract)

"""What a contract calls for in one home: verdicts and the rule that decides, without a probe."""

from __future__ import annotations

from conformance.specification.case import Case, case_in, case_of
from conformance.specification.decide import decide, specified
from conformance.specification.steps import Decision

__all__ = ["Case", "Decision", "case_in", "case_of", "decide", "specified"]

"""Whether a login has ended, when a probe may look somewhat later than now."""

from __future__ import annotations

from typing import Literal

__all__ = ["Expiry", "expiry_of"]

#: ``never``: no end is said; ``about``: it depends on the moment, or on how careful the probe is.
Expiry = Literal["never", "no-number", "past", "about", "future"]


def expiry_of(milliseconds: object, *, earliest: float, latest: float) -> Expiry:
    """Return where an end in epoch *milliseconds* lies.

    It is past up to *earliest*, and in the future after *latest*, both in epoch seconds.
    """
    if milliseconds is None:
        return "never"
    if not isinstance(milliseconds, float):  # as which all numbers are read
        return "no-number"
    if milliseconds <= earliest * 1000:
        return "past"
    return "future" if milliseconds > latest * 1000 else "about"

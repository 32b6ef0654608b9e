"""What several deviations have in common: to a person, one thing to mend."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Cause", "CauseKind"]

#: How a cause was found: all scenarios got one answer and the like (``hint``), the deviations are
#: those of a known wrong probe (``vice``), or they break one rule with one answer (``rule``).
CauseKind = Literal["hint", "vice", "rule"]


class Cause(Struct, frozen=True, kw_only=True):
    """One thing to mend, with the scenarios that deviate because of it."""

    kind: CauseKind
    name: str
    """A vice such as ``slot/pinned-file-name``, a rule such as ``slot:claude-login``, or empty."""
    text: str
    """What is wrong, in a sentence: the vice, the text of the rule, or the hint."""
    answers: tuple[str, ...] = ()
    """What was expected and what was got, most frequent first."""
    rules: tuple[str, ...] = ()
    """The rules that are broken, as ``slot:claude-login``, most frequent first."""
    scenarios: tuple[str, ...]
    """The ids of the scenarios that it explains first, the most basic one at the front.

    Another cause lists one of them only where it would have none otherwise.
    """
    shared: tuple[str, ...] = ()
    """The ids of scenarios that it would explain as well, which a cause before it lists."""
    fit: float = 1.0
    """For a vice: the share, 0 to 1, of what the wrong probe does that is seen here, too."""
    like: tuple[str, ...] = ()
    """Further vices, by the same names, that the scenarios which ran do not tell from this one."""
    compared: bool = True
    """For a rule: whether known vices were compared with what is listed, and none was like it.

    False where the contract has no wrong probes, or none of them has run in these scenarios.
    """

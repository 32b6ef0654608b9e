"""Which part of a run a report is about."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["MergedShard", "Shard"]


class Shard(Struct, frozen=True, kw_only=True):
    """One shard of a run, and what it was cut from: but for ``index`` the same in all of them."""

    index: int
    """Which one it is, from 1."""
    count: int
    """How many there are."""
    scenarios: int
    """How many scenarios, or wrong probes, all of them have together."""
    selection: str
    """Stands for these, for what they ask, and for what the contract expects of each."""
    durations: str = ""
    """Stands for the durations by which they were cut; empty where none were given."""
    note: str = ""
    """Why the shards do not take equally long, where durations show that; a sentence."""
    contract: str = ""
    """Stands for the contract with all of its rules and limits."""
    options: str = ""
    """Stands for the options and the known failures that decide results."""
    probe: str = ""
    """Stands for a local probe: its command, and the files in it. Empty for an image."""
    now: float | None = None
    """The fixed now that was given, in epoch seconds; None where each shard has its own."""
    seed: str = ""
    """Stands for the seed that was given; empty where each shard has its own."""

    @property
    def words(self) -> str:
        """What people call it."""
        return f"shard {self.index} of {self.count}"


class MergedShard(Struct, frozen=True, kw_only=True):
    """What is kept of a shard in the report that it was merged into."""

    index: int
    """Which one it was, from 1."""
    file: str
    """The report that it was read from."""
    started: str
    """When it began, as ISO 8601."""
    seconds: float
    """How long it took."""
    scenarios: int
    """How many scenarios it had."""
    exit_status: int
    probe: dict[str, Any]
    """Its probe, and what isolated it, as its report says."""

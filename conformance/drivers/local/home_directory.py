"""Where the homes of one execution lie on disk."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

__all__ = ["HomeDirectory"]


class HomeDirectory(Struct, frozen=True):
    """Where the homes of one execution are built."""

    top: Path
    name: str = ""
    """The name of the fake HOME; empty for a plain one."""

    @property
    def home(self) -> Path:
        """The fake HOME."""
        return self.top / "home" / self.name

    @property
    def temporary(self) -> Path:
        """What lies in the temporary directories of a probe that runs twice."""
        return self.top / "temporary"

    @property
    def opposite(self) -> Path:
        """The home with the opposite answer, for contracts that ask for one."""
        return self.top / "opposite"

    @property
    def cli(self) -> Path:
        """Stubs that serve this home only."""
        return self.top / "cli"

"""What an image really has, where the user names one."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

__all__ = ["ImageView"]


class ImageView(Struct, frozen=True, kw_only=True):
    """What a manifest is compared with."""

    reference: str
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    user: str
    """As the image says it: a name, a uid, either with a group; empty for root."""
    uid: int
    home: str
    """The HOME of that user; empty if it has none of its own."""
    programs: Mapping[str, bool] = {}
    """Paths that were looked for: whether they are there."""

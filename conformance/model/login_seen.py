"""What was seen of a login: by the Manager, and by the agent's CLI."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["CliSeen", "LoginSeen", "RequestSeen"]


class RequestSeen(Struct, frozen=True, kw_only=True):
    """One request, as it came."""

    at: float
    """Seconds since the program started."""
    method: str
    path: str
    """Its target: path and query, as they came."""
    token: str | None
    """What stood in the header for the init token; None where there was no such header."""
    body: bytes = b""
    """The first part of it."""
    elsewhere: bool = False
    """Whether it came to another host than the Manager's, to which a redirect led."""
    status: int = 0
    """What it was answered with; 0 where it got no answer."""
    holds_token: bool = False
    """Whether the init token stood anywhere in its head."""


class CliSeen(Struct, frozen=True, kw_only=True):
    """One start of the agent's CLI, other than for its version."""

    arguments: str
    terminal: bool
    """Whether its standard input and output were terminals."""
    token: bool
    """Whether the init token stood in its environment."""
    read: tuple[str, ...] = ()
    """The lines that it read, without empty ones."""


class LoginSeen(Struct, frozen=True, kw_only=True):
    """What was seen in the time in which somebody was to log in."""

    requests: tuple[RequestSeen, ...] = ()
    """In the order in which they came."""
    cli: tuple[CliSeen, ...] = ()
    """The starts of the CLI, in order."""
    base: str = ""
    """The path of the Manager's URL, without a slash at its end."""
    slot: str = ""
    """The id of the slot."""
    token: str = ""
    """The init token."""

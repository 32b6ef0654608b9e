"""What a member of claude's login is like, for whoever looks at one."""

from __future__ import annotations

import re

from conformance.specification.document import Members

__all__ = ["is_header_text", "is_text", "odd_members"]

_HEADER_TEXT = re.compile(r"[\x21-\x7e]+")
_TEXTS = ("refreshToken", "subscriptionType", "rateLimitTier")


def is_text(value: object) -> bool:
    """Return whether *value* is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def is_header_text(value: object) -> bool:
    """Return whether *value* is a text that every HTTP client puts into a header as it is."""
    return isinstance(value, str) and _HEADER_TEXT.fullmatch(value) is not None


def odd_members(login: Members) -> list[str]:
    """Return the known members of *login* that are of another type than the CLI writes.

    No rule speaks of them. A probe that reads a login into a type of its language refuses it.
    """
    odd = [name for name in _TEXTS if not isinstance(login.get(name), str | None)]
    if not isinstance(login.get("refreshTokenExpiresAt"), float | None):
        odd.append("refreshTokenExpiresAt")
    scopes = login.get("scopes")
    if isinstance(scopes, list) and not all(isinstance(scope, str) for scope in scopes):
        odd.append("scopes")
    return odd

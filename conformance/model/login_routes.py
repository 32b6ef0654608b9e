"""Which of a contract's requests a request to the Manager is."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from conformance.model.contract import Requests

__all__ = ["base_path", "expected_path", "origin_form", "route_of"]


def base_path(url: str) -> str:
    """Return the path of the Manager's *url*, without a slash at its end."""
    return urlsplit(url).path.rstrip("/")


def expected_path(template: str, base: str, slot: str) -> str:
    """Return the path that *template*, of a contract's request, stands for; for people."""
    return f"{base}{template.replace('{slot}', _quoted(slot))}"


def origin_form(target: str) -> str:
    """Return the path and query of a request's *target*, which may be a whole URL.

    Clients send one to a proxy, and servers have to take it.
    """
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return target
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path = rest[end:]
    return path if path.startswith("/") else f"/{path}"


def route_of(requests: Requests, method: str, target: str, base: str, slot: str) -> str:
    """Return what a contract calls the request with this *method* and *target*; empty for none.

    Parts of a path may be quoted in more than one way. A query is left out of account.
    """
    path = origin_form(target).partition("?")[0]
    parts = [unquote(part, errors="surrogateescape") for part in path.split("/")]
    for name, route in requests.routes().items():
        wanted = [part.replace("{slot}", slot) for part in f"{base}{route.path}".split("/")]
        if method == route.method and parts == wanted:
            return name
    return ""


def _quoted(slot: str) -> str:
    # Not urllib's quote, which takes no lone surrogates.
    plain = "-._~"
    encoded = slot.encode("utf-8", "surrogateescape")
    return "".join(
        chr(byte)
        if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in plain)
        else f"%{byte:02X}"
        for byte in encoded
    )

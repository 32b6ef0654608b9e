"""Turn views into one HTML file each.

The file asks nobody for anything: its only style and its only script stand in it, and its policy
allows nothing but these two, by their hashes: whatever a probe prints, a browser does not run it.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conformance import __version__
from conformance.report.page.shown import shown, ticked

__all__ = ["render"]

_TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ticked"] = ticked
    return environment


@cache
def _inline(name: str) -> tuple[Markup, str]:
    """Return a file of ours that stands in every page, and its hash for the policy."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).digest()
    return Markup(text), f"'sha256-{base64.b64encode(digest).decode()}'"  # noqa: S704 - ours


def render(template: str, **values: Any) -> str:
    """Return the page that the *template* of this name makes of *values*."""
    style, style_hash = _inline("page.css")
    script, script_hash = _inline("page.js")
    policy = (
        f"default-src 'none'; style-src {style_hash}; script-src {script_hash}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    page: str = (
        _environment()
        .get_template(template)
        .render(
            policy=Markup(policy),  # noqa: S704 - ours
            style=style,
            script=script,
            version=__version__,
            **values,
        )
    )
    return page

"""The site made from README, CHANGELOG, CONTRIBUTING and the pages in docs: ``tox -e site``.

The Markdown stays what GitHub shows. What only the site needs is added here: a sidebar
with the pages as README lists them, and a lexer for the sessions that tests run. Nothing comes from
the network, search included.
"""

from __future__ import annotations

import re

from pygments.lexers.shell import BashSessionLexer
from sphinx.application import Sphinx

project = "probe-conformance"
author = "The probe-conformance authors"
copyright = author  # noqa: A001 - Sphinx calls it so
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md"]
exclude_patterns = [".*", "build", "dist", "conformance", "fixtures", "scenarios", "tests"]
nitpicky = True
# `…` in a block stands for what varies: such a block cannot be read by every lexer.
suppress_warnings = ["misc.highlighting_failure"]

# Links to headings are those of GitHub.
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_title = project
html_additional_pages = {"index": "index.html"}
templates_path = ["templates"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"sidebar_hide_name": False}


def groups(readme: str) -> dict[str, list[str]]:
    """Return the pages that *readme* lists: those to start with, then all others by heading."""
    sections = {"Start": readme.partition("## Where to go from here\n")[2].partition("\n## ")[0]}
    below = readme.partition("## All pages\n")[2]
    sections |= dict(re.findall(r"^### (.+)\n\n((?:.+\n)+)", below, re.MULTILINE))
    found: dict[str, list[str]] = {}
    for name, text in sections.items():
        listed = [page for pages in found.values() for page in pages]
        pages = re.findall(r"\]\(([\w/-]+)\.md\)", text)
        found[name] = [page for page in dict.fromkeys(pages) if page not in listed]
    return found


def add_order(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append the order of all pages, as README lists them, to the first one.

    A page that README does not list is in no group, which is an error.
    """
    if page != root_doc:
        return
    for name, pages in groups(source[0]).items():
        lines = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {name}\n\n{lines}\n```\n"


def setup(app: Sphinx) -> None:
    """Register what Sphinx and the theme do not have."""
    app.add_lexer("console-session", BashSessionLexer)
    app.connect("source-read", add_order)

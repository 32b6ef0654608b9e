"""The site made from README, CHANGELOG, CONTRIBUTING and the pages in docs: ``tox -e site``.

The Markdown stays what GitHub shows. What only the site needs is added here: the order of the
pages, and a lexer for the sessions that tests run. Nothing comes from the network, search included.
"""

from __future__ import annotations

from pathlib import Path

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

DOCS = Path(__file__).resolve().parents[1]
#: The pages, in the order in which the sidebar shows them.
PAGES = {
    "Start": ["write-a-probe", "for-pipelines", "for-reviewers", "for-managers"],
    "Check": [
        *(
            "probes",
            "settings",
            "page",
            "images",
            "wiring",
            "entrypoint",
            "login",
            "gates",
            "in-process",
        ),
        *("orchestrator", "real-clis", "over-time", "shards"),
    ],
    "Change": ["your-contract", "scenarios", "discover", "strength", "design"],
    "Look up": ["cli", "contracts", "field"],
}


def add_order(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append the order of all pages to the first one."""
    if page != root_doc:
        return
    there = {file.stem for file in DOCS.glob("*.md")}
    listed = [each for pages in PAGES.values() for each in pages]
    groups = {
        name: [f"docs/{each}" for each in pages if each in there] for name, pages in PAGES.items()
    }
    # A page that nobody has put into a group comes last.
    groups["Look up"] += [f"docs/{each}" for each in sorted(there.difference(listed))]
    groups["Change"].append("CONTRIBUTING")
    groups["Look up"].append("CHANGELOG")
    for name, pages in groups.items():
        lines = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {name}\n\n{lines}\n```\n"


def setup(app: Sphinx) -> None:
    """Register what Sphinx and the theme do not have."""
    app.add_lexer("console-session", BashSessionLexer)
    app.connect("source-read", add_order)

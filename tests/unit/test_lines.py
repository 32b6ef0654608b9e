"""Lines of a report for people: they fit, and are no commands to who reads the log."""

from __future__ import annotations

import pytest

from conformance.report.lines import heading_lines


@pytest.mark.parametrize("heading", ["stdout", ""])
@pytest.mark.parametrize("before", ["", "A" * 70 + " ", "A" * 5 + " ", "word " * 20])
@pytest.mark.parametrize("command", ["::stop-commands::t", "##[error]x"])
def test_what_a_probe_prints_is_no_command_to_github(
    heading: str, before: str, command: str
) -> None:
    """Its runner takes :: for one at the beginning of a line, after blanks too, and ##[ anywhere."""
    shown = heading_lines(heading, f"{before}{command} more")

    assert not [line for line in shown if line.lstrip().startswith("::") or "##[" in line]
    assert "stop-commands::t" in "".join(shown) or "[error]x" in "".join(shown)

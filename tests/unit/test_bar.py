"""How far a run has come: a bar on a terminal, lines anywhere else."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from conformance.report.bar import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> str:
    """Return what came to *stream*, without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", stream.getvalue())


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
@pytest.mark.parametrize("lines", [True, False])
def test_a_log_gets_lines_and_no_bar_also_where_colours_are_forced(
    variables: dict[str, str], lines: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()

    with Bar(Console(file=stream), 20, lines=lines) as bar:
        for done in range(1, 21):
            bar.step(done, "1 deviate")

    tenths = "".join(f"  {done} of 20\n" for done in range(2, 21, 2)) + "\n"
    assert shown(stream) == (tenths if lines else "")


def test_a_terminal_gets_a_bar_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()

    with Bar(Console(file=stream, width=80), 20, lines=True) as bar:
        bar.step(7, "1 deviate")

    assert re.search(r"━ +7/20 0:00:00 1 deviate", shown(stream))
    assert " of 20" not in shown(stream)
    assert stream.getvalue().endswith("\x1b[2K")


def test_a_note_stands_beside_the_bar_until_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    bar = Bar(Console(file=stream, width=80), 359)

    bar.start("starting 2 workers")
    before = shown(stream)
    bar.step(1)
    bar.stop()

    assert re.search(r"━ +0/359 0:00:00 starting 2 workers", before)
    assert re.search(
        r"━ +1/359 0:00:00 *$", shown(stream).replace("\r", "\n").rstrip(), re.MULTILINE
    )
    assert "starting" not in shown(stream).replace("\r", "\n").rstrip().splitlines()[-1]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()

    with Bar(Console(file=stream), 10, lines=True) as bar:
        bar.step(1)

    assert shown(stream) == "  1 of 10\n\n"

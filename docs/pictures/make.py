"""Make the pictures of the suite at work anew: ``python docs/pictures/make.py [terminal] [page]``.

The probe is the one that README shows. The picture of the terminal is what a run prints, drawn by
rich. The picture of the page is what Chromium shows of ``run --html``; it needs ``chromium`` on
PATH, and Pillow, which makes the file small. Neither asks the network for anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURES = Path(__file__).resolve().parent
ROOT = PICTURES.parents[1]
PROBE = "python3 smoke_probe.py"
SCENARIOS = ["agent/*", "claude/*", "codex/*"]
COLUMNS = 80
#: Colours that are told apart on the dark background, by those who see colours differently as well.
THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
#: What rich draws, but without the fonts that it would fetch, and with words for who cannot see it.
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  aria-labelledby="{unique_id}-title">
<title id="{unique_id}-title">A run in a terminal: summary, causes, the first deviations</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run(directory: Path, *options: str) -> str:
    """Return what a run of README's probe in *directory* prints, in colour, without progress."""
    readme = (ROOT / "README.md").read_text()
    probe = re.search(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert probe is not None
    (directory / "smoke_probe.py").write_text(probe[1])
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", *SCENARIOS, "--probe", PROBE, *options],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FORCE_COLOR": "1",
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
            "PATH": "/usr/bin:/bin",  # so that the pictures show no place of this machine
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 1:
        sys.exit(f"the probe of README has to deviate; status {done.returncode}\n{done.stdout}")
    return re.sub(r"(?m)^ +\d+ of \d+\n", "", done.stdout).replace("\n\n\n", "\n\n")


def terminal() -> None:
    """Draw what a run prints."""
    with tempfile.TemporaryDirectory() as directory:
        printed = run(Path(directory))
    printed = re.sub(r"(?m)^probe: \S*python3", "probe: python3", printed)
    typed = f"probe-conformance run {shlex.join(SCENARIOS)} \\\n    --probe {shlex.quote(PROBE)}"
    text = Text.from_ansi(f"$ {typed}\n{printed.strip()}")
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(text, soft_wrap=True)
    drawn = console.export_svg(
        title="probe-conformance", theme=THEME, code_format=FRAME, unique_id="run"
    )
    (PICTURES / "terminal.svg").write_text(drawn)


def page() -> None:
    """Photograph the first screen of the page that ``run --html`` writes."""
    try:
        from PIL import Image  # noqa: PLC0415 - the other picture does without
    except ImportError:
        sys.exit("Pillow is missing: pip install pillow")
    chromium = shutil.which("chromium") or sys.exit("chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        run(directory, "--html", "report.html")
        photo = directory / "page.png"
        subprocess.run(
            [
                chromium,
                "--headless",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "--disable-background-networking",
                "--hide-scrollbars",
                f"--user-data-dir={directory / 'browser'}",
                "--window-size=1280,900",
                f"--screenshot={photo}",
                (directory / "report.html").as_uri(),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )
        # A page has few colours: with a palette it takes a third of the room.
        with contextlib.closing(Image.open(photo)) as image:
            image.convert("RGB").quantize(128).save(PICTURES / "page.png", optimize=True)


MAKERS = {"terminal": terminal, "page": page}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(MAKERS)
    if unknown := set(chosen) - set(MAKERS):
        sys.exit(f"{', '.join(sorted(unknown))}: there are {' and '.join(MAKERS)}")
    for each in chosen:
        MAKERS[each]()

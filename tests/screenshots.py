"""Take pictures of a page: for the docs, and for whoever changes its looks.

    python tests/screenshots.py PAGE.html DIR [--at SELECTOR] [--width N]... [--height N]

Writes DIR/NAME-WIDTH-light.png and DIR/NAME-WIDTH-dark.png for each width, by default those of a telephone and of a
laptop. The selector is one of CSS, such as '#scenarios': the picture begins there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from support_browser import WIDTHS, dress, missing, opened, picture


def main() -> None:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--at", default="")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--height", type=int, default=0)
    options = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    options.directory.mkdir(parents=True, exist_ok=True)
    with opened() as driver:
        for width in options.width or WIDTHS:
            for dark in (False, True):
                dress(driver, width, height=options.height, dark=dark)
                scheme = "dark" if dark else "light"
                target = options.directory / f"{options.page.stem}-{width}-{scheme}.png"
                picture(driver, options.page, target, at=options.at)
                print(target)


if __name__ == "__main__":
    main()

"""What five images cost in one run, against one run after the other.

    python tests/bench/many.py IMAGE [--rounds 3] [--isolation shared] [ID|GLOB ...]

IMAGE is the reference image; the five are made of it. Both ways take turns, and so does a run without an image, which
costs what the runs of one command share: the interpreter, the catalogue, the workers. Exits 1 where five at once cost
more than 1.05 times the sum of the five without what they share, by the medians of all rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import docker

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
from containers import timed
from support_image import Images

IMAGES = 5
MOST = 1.05
#: All of what no scenario waits in, and a few in which a CLI hangs.
USUAL = ("claude/*", "codex/*", "cli/hangs*")


def main() -> None:
    """Take turns, and print what each way costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("patterns", nargs="*", default=USUAL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isolation", default="shared")
    options = parser.parse_args()
    client = docker.from_env()
    with Images(client, options.image) as images, tempfile.TemporaryDirectory() as place:
        made = [
            images.like_reference({"/opt/number": str(n).encode()}).removeprefix("sha256:")
            for n in range(IMAGES)
        ]
        run = [sys.executable, "-m", "conformance", "run", "-n", "2", "-q"]
        asked = [*run, *options.patterns, "--isolation", options.isolation]
        single = [[*asked, "--image", image] for image in made]
        many = [*asked, *(word for image in made for word in ("--image", image))]
        bare = [*run, "agent/unmapped"]
        alone, together, shared = [], [], []
        for _ in range(options.rounds):
            together.append(timed(many, cwd=place))
            alone.append(sum(timed(one, cwd=place) for one in single))
            shared.append(timed(bare, cwd=place))
    show(*map(statistics.median, (alone, together, shared)))


def show(alone: float, together: float, shared: float) -> None:
    """Print the medians; exit 1 where several at once cost too much."""
    least = alone - (IMAGES - 1) * shared
    print(f"{IMAGES} images, one run after the other: {alone:7.1f} s")
    print(f"what each of these runs pays again:   {shared:7.1f} s")
    print(f"{IMAGES} images in one run:                 {together:7.1f} s")
    ratio = together / least
    print(f"that is {ratio:.2f} times the sum without what they share (at most {MOST})")
    print(f"and {together / alone:.2f} times the sum")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()

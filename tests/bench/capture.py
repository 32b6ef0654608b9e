"""Ask right and wrong probes in the homes of the catalogue, and in what is captured of them.

    python tests/bench/capture.py [--part 3/20] [ID...]
    python tests/bench/capture.py --clis         the released CLIs, in the scenarios that have on record what they say

It prints each answer that is another one in the copy, and each home that could not be captured or of which lint has
something to say; with any it ends with 1. The CLIs are downloaded with npm, once. All of it takes many minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))

from support_capture_answers import (
    WRONG,
    NotCapturedError,
    Pair,
    Row,
    copy,
    differing,
    of_clis,
    part,
    probes,
    scenarios,
)

from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.model.scenario import Scenario
from conformance.strength.bank import WrongProbe
from conformance.strength.trials import batched

whole = cache(load_catalogue)
#: How many homes one process takes, for which it starts what runs the probes once.
AT_ONE_GO = 6


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", default="0/1", metavar="N/PARTS")
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--clis", action="store_true")
    parser.add_argument("--wrong", type=int, default=WRONG, help="how many wrong probes are asked")
    options = parser.parse_args()
    started = time.monotonic()
    number, _, of = options.part.partition("/")
    chosen = part(scenarios(whole()), int(number), int(of))
    chosen = [s for s in chosen if s.id in options.ids or not options.ids]
    found = 0
    rows = _clis(chosen) if options.clis else _probes([s.id for s in chosen], options.wrong)
    for row in rows:
        found += 1
        print(*row, sep="  ", flush=True)
    seconds = time.monotonic() - started
    print(f"{len(chosen)} homes, {seconds:.0f} s: {found} answers differ")
    return 1 if found else 0


def _probes(ids: list[str], wrong: int) -> Iterator[Row]:
    waiting = [id_ for id_ in ids if whole().get(id_).waits]
    others = [id_ for id_ in ids if id_ not in waiting]
    # Of those that do not wait, several share their processes.
    chunks = [*batched(waiting, 1), *batched(others, AT_ONE_GO)]
    # One kind beside the other, so that the processors have something to do where there is only waiting.
    random.Random(17).shuffle(chunks)
    done = 0
    with ProcessPoolExecutor(4 * len(os.sched_getaffinity(0))) as pool:
        for chunk, rows in zip(chunks, pool.map(partial(_in_homes, wrong), chunks), strict=True):
            yield from rows
            done += len(chunk)
            print(f"{done} of {len(ids)}", file=sys.stderr, flush=True)


def _in_homes(wrong: int, ids: Sequence[str]) -> list[Row]:
    catalogue = whole()
    with tempfile.TemporaryDirectory() as top:
        directory = Path(top)
        directory.chmod(0o755)
        seen = [_copy(id_, catalogue, directory) for id_ in ids]
        pairs = [pair for pair in seen if isinstance(pair, Pair)]
        rows = [row for row in seen if isinstance(row, Row)]
        return rows + differing(pairs, catalogue, _tried(wrong), directory)


@cache
def _tried(wrong: int) -> list[WrongProbe]:
    return probes(whole(), wrong)


def _copy(id_: str, catalogue: Catalogue, directory: Path) -> Pair | Row:
    try:
        return copy(catalogue.get(id_), catalogue, directory)
    except NotCapturedError as e:
        return Row("capture", id_, "a home", str(e))


def _clis(chosen: list[Scenario]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as top:
        directory = Path(top)
        directory.chmod(0o755)
        pairs: list[Pair] = []
        for scenario in chosen:
            pair = _copy(scenario.id, whole(), directory)
            if isinstance(pair, Row):
                yield pair
            else:
                pairs.append(pair)
        yield from of_clis(pairs)


if __name__ == "__main__":
    sys.exit(main())

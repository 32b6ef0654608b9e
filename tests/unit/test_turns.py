"""Cases of long tests take turns, none is ever left out for good; workers share the long ones."""

from __future__ import annotations

import itertools

import pytest
from support import not_in_turn, shared_out

CASES = [(f"test_a.py::test_long[{number}]", 3) for number in range(7)] + [
    ("test_a.py::test_other[x]", 2)
]


@pytest.mark.parametrize("first", [0, 1, 20_783])
def test_so_many_days_in_a_row_run_each_case_once(first: int) -> None:
    for case, one_in in CASES:
        days = range(first, first + one_in)
        assert sum(case not in not_in_turn(CASES, day) for day in days) == 1


def test_a_day_has_about_its_part() -> None:
    assert sorted(7 - len(not_in_turn(CASES[:7], day)) for day in range(3)) == [2, 2, 3]


def test_all_days_have_much_the_same_to_do() -> None:
    cases = [(f"test_a.py::test_{number}", 2) for number in range(200)]

    assert 70 < len(not_in_turn(cases, 1)) < 130


@pytest.mark.parametrize(("count", "workers"), [(0, 4), (1, 1), (3, 4), (100, 4), (101, 3)])
def test_each_worker_begins_with_its_share_of_the_slow_ones(count: int, workers: int) -> None:
    things = list(range(count))

    found = shared_out(things, workers, lambda one: one % 5 == 4)

    assert sorted(found) == things
    ends = [count * number // workers for number in range(workers + 1)]
    parts = [found[start:end] for start, end in itertools.pairwise(ends)]
    slow = [[one for one in part if one % 5 == 4] for part in parts]
    assert [part[: len(some)] for part, some in zip(parts, slow, strict=True)] == slow
    assert max(map(len, slow)) - min(map(len, slow)) <= 1

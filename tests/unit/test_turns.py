"""Cases of long tests take turns: none is ever left out for good."""

from __future__ import annotations

import pytest
from support import not_in_turn

CASES = [(f"test_a.py::test_long[{number}]", 3) for number in range(7)] + [
    ("test_a.py::test_other[x]", 2)
]


@pytest.mark.parametrize("first", [0, 1, 20_783])
def test_so_many_days_in_a_row_run_each_case_once(first: int) -> None:
    for case, one_in in CASES:
        days = range(first, first + one_in)
        assert sum(case not in not_in_turn(CASES, day) for day in days) == 1


def test_a_day_has_about_its_part() -> None:
    assert [7 - len(not_in_turn(CASES[:7], day)) for day in range(3)] == [3, 2, 2]

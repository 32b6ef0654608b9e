"""Times that say no more than whether they are over, and what is wrong with their form."""

from __future__ import annotations

import re
from datetime import date

__all__ = ["RFC_3339", "like_zone", "moment", "no_time"]

RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)(\.\d{1,12})?([Zz]|[-+]\d\d:\d\d)", re.ASCII
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_DAY = 86_400


def moment(seconds: float) -> str:
    """Return what stands in a placeholder for a time so many *seconds* from now: ``now+8h``.

    To the second within a day, beyond it to the minute.
    """
    whole = round(seconds) if abs(seconds) < _DAY else round(seconds / 60) * 60
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"now{whole // size:+d}{unit}"
    return f"now{whole:+d}s" if whole else "now"


def no_time(match: re.Match[str]) -> str:
    """Return what is no time, either, and for the same reason: day, time of day, or offset.

    *match* is one of :data:`RFC_3339`. Readers differ in a year 0, a leap second, and hour 24.
    """
    day, between, clock, _, zone = match.groups()
    return f"{_like_day(day)}{between}{_like_clock(clock)}{like_zone(zone)}"


def _like_day(day: str) -> str:
    if day.startswith("0000"):
        return "0000-01-01"
    try:
        date.fromisoformat(day)
    except ValueError:
        return "2001-02-30"
    return "2001-01-01"


def _like_clock(clock: str) -> str:
    if _CLOCK.fullmatch(clock):
        return "00:00:00"
    if clock == "24:00:00":
        return clock
    leaps = clock.endswith(":60") and _CLOCK.fullmatch(clock.removesuffix(":60"))
    return "23:59:60" if leaps else "99:99:99"


def like_zone(zone: str) -> str:
    """Return an offset that is one, or not, as *zone* is."""
    if zone in "Zz":
        return zone
    return f"{zone[0]}{'01:00' if _CLOCK.fullmatch(zone[1:]) else '99:99'}"

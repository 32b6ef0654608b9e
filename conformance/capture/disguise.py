"""What stands in the place of a value: of the same shape, and without what it says.

The letters and digits of a value are never kept. What is kept of it is what a parser can see: that
it is empty or blank, how long it is, that it begins as a kind of token, is a JSON Web Token or a
time, and that two values are the same.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from conformance.capture.known import Known
from conformance.capture.shapes import (
    DIGIT,
    FILLER,
    Piece,
    filled,
    like_number,
    literal,
    string_like,
)
from conformance.capture.tokens import Token
from conformance.model.placeholders import ACCOUNT_ID, KINDS, PREFIXES, Context

__all__ = ["CLAIM_NAMES", "Disguise", "account_in", "moment"]

#: More beginnings of tokens that everybody knows.
_MORE_PREFIXES = ("sk-ant-", "sk-", "gho_", "ghs_", "github_pat_", "xoxb-")
#: How many characters follow the beginning of a placeholder for a secret.
_SECRET = len(Context(now=0, seed="").secret("jwt"))
_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)(\.\d{1,12})?([Zz]|[-+]\d\d:\d\d)", re.ASCII
)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
#: What was meant to be a number, or may be one in another format.
_NUMERIC = re.compile(r"[-+]?(0[xob][0-9A-Fa-f_]+|[0-9._]+([eE][-+]?[0-9]*)?|[0-9]+-[-0-9T]+Z?)")
_LITERALS = {"true", "false", "null", "NaN", "Infinity", "-Infinity", "nan", "inf", "-inf", "+inf"}
_DOTTED = re.compile(r"[A-Za-z0-9_+/=-]*(\.[A-Za-z0-9_+/=-]*)+")
_CLAIMS = "https://api.openai.com/auth"
_ACCOUNT = "chatgpt_account_id"
#: Claims that say where a token of codex names an account; the catalogue has them in placeholders.
CLAIM_NAMES = (_CLAIMS, _ACCOUNT)
#: Members that name an account: whether two are the same is what rules look at.
_ACCOUNTS = {"account_id", _ACCOUNT, "forced_chatgpt_workspace_id"}
#: A time is one that could be meant: from 2001 to 2100, in seconds.
_FIRST, _LAST = 1_000_000_000, 4_102_444_800
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


def account_in(data: bytes) -> str:
    """Return the account that the first JSON Web Token in *data* is for; empty if none is."""
    for match in re.finditer(rb"eyJ[\w-]+\.([\w-]+)\.", data):
        claims = _decoded(match[1].decode())
        about = claims.get(_CLAIMS) if isinstance(claims, dict) else None
        account = about.get(_ACCOUNT) if isinstance(about, dict) else None
        if isinstance(account, str) and account:
            return account
    return ""


class Disguise:
    """Finds what stands in the place of values, the same for the same one throughout a home."""

    def __init__(self, known: Known, now: float, *, account: str = "") -> None:
        """*now* is when the home was looked at, in epoch seconds.

        *account* is the one that a JSON Web Token in the home names, or empty.
        """
        self._known = known
        self._now = now
        self._labels: dict[str, str] = {}
        self._accounts = {ACCOUNT_ID: ACCOUNT_ID}
        self._members: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        """What became of members and values, until somebody clears it."""
        if account and account != ACCOUNT_ID:
            self._accounts = {account: ACCOUNT_ID}

    def key(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of the name of a member, quotes included."""
        text = token.text
        if text in self._known.members and token.closed:
            self.counts["members kept"] += 1
            yield literal(token.raw)
            return
        self.counts["members renamed"] += 1
        if not text.strip():
            yield from string_like(token)
            return
        name = self._members.setdefault(text, f"member-{len(self._members) + 1}")
        yield literal(f"{token.quote}{name}{token.quote if token.closed else ''}")

    def value(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of a string, quotes included."""
        text, member = token.text, token.member
        quote, end = token.quote, token.quote if token.closed else ""
        if not text or (member, text) in self._known.values:
            self.counts["texts kept that everybody knows"] += 1
            yield literal(token.raw)
            return
        found: list[Piece] = []
        plain = text.isascii() and text.isprintable() and "\\" not in token.raw
        if plain:
            found = self._recognised(text, member)
        if not found:
            self.counts["other texts"] += 1
            yield from string_like(token)
            return
        yield literal(quote)
        yield from found
        yield literal(end)

    def text(self, text: str, member: str) -> str:
        """Return what stands in the place of a *text* of its own, such as a variable's value."""
        if not text or (member, text) in self._known.values:
            return text
        if text.isascii() and text.isprintable() and (found := self._recognised(text, member)):
            return "".join(piece.text for piece in found)
        numeric = _NUMERIC.fullmatch(text.strip()) is not None
        return "".join(piece.text for piece in filled(text, numeric=numeric))

    def number(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of a number, a literal, or what is neither."""
        raw = token.raw
        if raw in _LITERALS:
            yield Piece(text=raw, bare=raw == "null")
            return
        if _NUMBER.fullmatch(raw):
            if token.member in self._known.times and (time := self._time(raw)):
                yield from time
                return
            yield literal(self._digits(raw))
            return
        if _NUMERIC.fullmatch(raw):
            yield literal(like_number(raw))
            return
        yield from filled(raw)

    def comment(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of a comment."""
        raw = token.raw
        start = next(mark for mark in ("/*", "//", "#") if raw.startswith(mark))
        end = "*/" if start == "/*" and raw.endswith("*/") and len(raw) >= 4 else ""
        yield literal(start)
        yield from filled(raw[len(start) : len(raw) - len(end)])
        yield literal(end)

    def _recognised(self, text: str, member: str) -> list[Piece]:
        """Return what stands for a *text* whose kind is known; nothing for any other."""
        if member in self._known.times:
            if match := _RFC_3339.fullmatch(text):
                return self._date(match)
            if _NUMBER.fullmatch(text) and (time := self._time(text)):
                return [Piece(text=piece.text, plain=piece.plain) for piece in time]
        if member in _ACCOUNTS:
            return self._account(text)
        words = text.split(" ")
        if len(words) > 1 and all((member, word) in self._known.values for word in words):
            return [literal(text)]
        dots = text.count(".")
        if _DOTTED.fullmatch(text) and (dots == 2 or self._known.is_secret(member)):
            return self._dotted(text)
        prefix = max(
            (p for p in (*PREFIXES, *_MORE_PREFIXES) if text.startswith(p)), key=len, default=""
        )
        if " " not in text and (prefix or self._known.is_secret(member)):
            return self._secret(text, prefix)
        return []

    def _account(self, text: str) -> list[Piece]:
        bare = text.strip()
        if not bare:
            return []
        self.counts["accounts"] += 1
        if bare not in self._accounts:
            number = len(self._accounts)
            made = FILLER * max(0, len(bare) - len(str(number))) + str(number)
            uuid = re.fullmatch(r"[0-9a-fA-F-]{36}", bare)
            self._accounts[bare] = f"00000000-0000-4000-8000-{number:012d}" if uuid else made
        before = len(text) - len(text.lstrip())
        return [
            literal(" " * before + self._accounts[bare] + " " * (len(text) - before - len(bare)))
        ]

    def _secret(self, text: str, prefix: str) -> list[Piece]:
        """Return a credential of the same length, which begins as everybody knows."""
        self.counts["credentials"] += 1
        plain = prefix + FILLER * (len(text) - len(prefix))
        rest = len(text) - len(prefix) - _SECRET
        labels = [label for label, begins in KINDS.items() if begins == prefix]
        if not prefix or not labels or rest < 0:
            return [literal(plain)]
        placeholder = self._placeholder(text, labels[0])
        return [Piece(text=placeholder + FILLER * rest, plain=plain)]

    def _placeholder(self, text: str, label: str) -> str:
        """Return the placeholder of a credential, the same wherever the same one stands."""
        if text not in self._labels:
            first = label or "token"
            names = (f"{other or 'token'}-" for other in self._labels.values())
            count = sum(name.startswith(f"{first}-") for name in names)
            self._labels[text] = f"{first}-{count + 1}" if count else label
        name = self._labels[text]
        return f"{{secret:{name}}}" if name else "{secret}"

    def _dotted(self, text: str) -> list[Piece]:
        """Return a token of several parts: those that hold JSON are JSON again."""
        self.counts["credentials"] += 1
        parts = text.split(".")
        claims = _decoded(parts[1]) if len(parts) == 3 else None
        if claims is not None and "=" not in text and (whole := self._whole(claims)):
            return [Piece(text="{" + whole + ":jwt}", plain=self._parts(parts))]
        if len(parts) == 3 and claims is not None and len(parts[2]) >= _SECRET:
            head = self._parts(parts[:2])
            rest = FILLER * (len(parts[2]) - _SECRET)
            return [Piece(text=f"{head}.{{secret:jwt}}{rest}", plain=self._parts(parts))]
        return [literal(self._parts(parts))]

    def _whole(self, claims: Any) -> str:
        """Return the time of a token that has the claims of the placeholder, or nothing."""
        if not isinstance(claims, dict) or type(claims.get("exp")) is not int:
            return ""
        about = claims.get(_CLAIMS)
        account = about.get(_ACCOUNT) if isinstance(about, dict) else None
        if self._accounts.get(account if isinstance(account, str) else "") != ACCOUNT_ID:
            return ""
        if not _FIRST <= claims["exp"] < _LAST:
            return ""
        return moment(claims["exp"] - self._now)

    def _parts(self, parts: list[str]) -> str:
        return ".".join(self._part(part) for part in parts)

    def _part(self, part: str) -> str:
        """Return a part of a token: JSON with its values replaced, or letters."""
        claims = _decoded(part)
        if claims is None:
            return re.sub(r"[^=+/]", FILLER, part)
        made = json.dumps(self.claims(claims), separators=(",", ":")).encode()
        coded = base64.urlsafe_b64encode(made).decode()
        return coded if part.endswith("=") else coded.rstrip("=")

    def claims(self, value: Any, member: str = "") -> Any:
        """Return what the claims of a token say, with nothing of whom it is for."""
        if isinstance(value, dict):
            return {self._claim(name): self.claims(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.claims(inner, member) for inner in value]
        if isinstance(value, str):
            if member in _ACCOUNTS and value.strip():
                return self._account(value)[0].text
            return value if (member, value) in self._known.values else FILLER * len(value)
        if isinstance(value, bool) or value is None:
            return value
        if member in self._known.times and value > 1:
            return 9_999_999_999 if value > self._now else _FIRST
        return int(value > 0)

    def _claim(self, name: str) -> str:
        known = name in self._known.members or name in CLAIM_NAMES
        return name if known else self._members.setdefault(name, f"member-{len(self._members) + 1}")

    def _date(self, match: re.Match[str]) -> list[Piece]:
        self.counts["times"] += 1
        _, between, _, fraction, zone = match.groups()
        try:
            at = datetime.fromisoformat(match[0].upper()).timestamp()
        except (ValueError, OverflowError):
            return [literal(f"2001-02-30{between}00:00:00Z")]  # no date, either
        plain = "2001-01-01" if at <= self._now else "2999-01-01"
        digits = "." + "0" * (len(fraction) - 1) if fraction else ""
        if (between, zone) == ("T", "Z") and len(digits) <= 10 and _FIRST <= at < _LAST:
            form = f"rfc3339.{len(digits) - 1}" if digits else "rfc3339"
            made = "{" + f"{moment(at - self._now)}:{form}" + "}"
            return [Piece(text=made, plain=f"{plain}T00:00:00{digits}Z")]
        # The placeholder has no other form. It is kept, and of the time whether it is over.
        offset = zone if zone in "Zz" else f"{zone[0]}01:00"
        return [literal(f"{plain}{between}00:00:00{digits}{offset}")]

    def _time(self, raw: str) -> list[Piece]:
        """Return a number that is a time, in seconds or milliseconds; nothing for any other."""
        value = float(raw)
        _, _, fraction = raw.partition(".")
        if "e" in raw.lower() or value < 0:
            return []
        for form, size in (("", 1000), (":s", 1)):
            if _FIRST * size <= value < _LAST * size:
                shift = value / size - self._now
                made = "{" + moment(shift) + form + "}"
                past = value / size <= self._now
                self.counts["times"] += 1
                plain = str((_FIRST if past else _LAST - 1) * size)
                rest = f".{DIGIT * len(fraction)}" if fraction else ""
                return [Piece(text=made + rest, plain=plain + rest, bare=not rest)]
        return []

    def _digits(self, raw: str) -> str:
        """Return a number of the same form, on the same side of now in milliseconds."""
        now = self._now * 1000
        mantissa, mark, exponent = raw.replace("E", "e").partition("e")
        made = like_number(mantissa) + mark
        made += exponent if len(exponent) < 5 else like_number(exponent)
        wanted = (float(raw) > now, float(raw) > now / 1000, float(raw) == 0)
        for digit in "1938":
            other = re.sub("1", digit, made, count=1)
            if (float(other) > now, float(other) > now / 1000, float(other) == 0) == wanted:
                return other
        return made


def _decoded(part: str) -> Any:
    """Return the JSON object that a part of a token holds; None if it holds none."""
    try:
        data = base64.urlsafe_b64decode(part.rstrip("=") + "==")
        value = json.loads(data)
    except (ValueError, binascii.Error, RecursionError):
        return None
    return value if isinstance(value, dict) else None

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
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
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
from conformance.capture.times import RFC_3339, like_zone, moment, no_time
from conformance.capture.tokens import Token, tokens
from conformance.model.placeholders import ACCOUNT_ID, KINDS, PREFIXES, Context
from conformance.specification.document import Doubt, read_document

__all__ = ["Disguise", "account_in"]

#: More beginnings of tokens that everybody knows.
_MORE_PREFIXES = ("sk-ant-", "sk-", "gho_", "ghs_", "github_pat_", "xoxb-")
#: How many characters follow the beginning of a placeholder for a secret.
_SECRET = len(Context(now=0, seed="").secret("jwt"))
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
#: What was meant to be a number, or may be one to some parser.
_NUMERIC = re.compile(
    r"[-+]{0,2}(?:0[xob][0-9A-Fa-f_]+|\.{0,2}[0-9]+(?:[.eE+-]{1,2}[0-9]+)*[.eE+-]{0,2})"
)
_LITERALS = re.compile(r"true|false|null|[-+]?(?i:nan|inf(?:inity)?)")
_DOTTED = re.compile(r"[A-Za-z0-9_+/=-]*(\.[A-Za-z0-9_+/=-]*)+")
_PART = re.compile(r"[\w-]+={0,2}", re.ASCII)
#: What a part of a token may have and be JSON to those who read tokens.
_READ: frozenset[Doubt] = frozenset({"twice", "surrogate", "deep", "long-number"})
#: Where a token of codex names an account.
_CLAIMS, _ACCOUNT = "https://api.openai.com/auth", "chatgpt_account_id"
_LINE_ENDS = re.compile(r"([\r\n]+)")
#: A name in TOML that needs no quotes; with dots, it is several.
_BARE_KEY = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
#: Members that name an account: whether two are the same is what rules look at.
_ACCOUNTS = {"account_id", _ACCOUNT, "forced_chatgpt_workspace_id"}
#: A time is one that could be meant: from 2001 to 2100, in seconds.
_FIRST, _LAST = 1_000_000_000, 4_102_444_800


def account_in(data: bytes) -> str:
    """Return the account that the first JSON Web Token in *data* is for; empty if none is."""
    for match in re.finditer(rb"(?<![\w-])eyJ[\w-]++\.([\w-]++)\.", data):
        about = _claims_in(match[1].decode()).get(_CLAIMS)
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

    def pieces(self, text: str, *, toml: bool = False) -> Iterator[Piece]:
        """Yield what stands in the place of *text*, which is JSON, or *toml*; it may be broken."""
        for token in tokens(text, toml=toml):
            match token.kind:
                case "blank" | "mark":
                    yield literal(token.raw)
                case "key":
                    yield from self.key(token)
                case "string":
                    yield from self.value(token)
                case "comment":
                    yield from self.comment(token)
                case "bare" if toml:
                    yield from self._toml_value(token)
                case "bare":
                    yield from self.number(token)

    def key(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of the name of a member, quotes included."""
        text = token.text
        if text in self._known.members and token.closed:
            self.counts["members kept"] += 1
            yield literal(token.raw)
            return
        self.counts["members renamed"] += 1
        if token.quote and not text.strip():
            yield from string_like(token)
            return
        name = self._members.setdefault(text, f"member-{len(self._members) + 1}")
        # What needs quotes and has none is a fault, and stays one.
        fault = "" if token.quote or _BARE_KEY.fullmatch(text) else "!"
        yield literal(f"{token.quote}{name}{fault}{token.quote if token.closed else ''}")

    def value(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of a string, quotes included."""
        text, member = token.text, token.member
        quote, end = token.quote, token.quote if token.closed else ""
        if not text or (member, text) in self._known.values:
            self.counts["texts kept that everybody knows"] += 1
            yield literal(token.raw)
            return
        found: list[Piece] = []
        # What is recognised is written without escapes, so their faults would be lost.
        is_sound = "\\" not in token.raw or _is_json(token.raw)
        if text.isascii() and text.isprintable() and is_sound:
            found = self._recognised(text, member)
        if not found:
            self.counts["other texts"] += 1
            yield from string_like(token)
            return
        yield literal(quote)
        yield from found
        yield literal(end)

    def text(self, text: str, member: str) -> str:
        """Return what stands in the place of a *text* of its own, such as a variable's value.

        Of several lines, each is a text: a token that was wrapped is a token to whoever reads on.
        """
        if not text or (member, text) in self._known.values:
            return text
        if len(lines := _LINE_ENDS.split(text)) > 1:
            # Every second one is what ends a line.
            return "".join(
                line if number % 2 else self.text(line, member) for number, line in enumerate(lines)
            )
        if text.isascii() and text.isprintable() and (found := self._recognised(text, member)):
            return "".join(piece.text for piece in found)
        numeric = _NUMERIC.fullmatch(text.strip()) is not None
        return "".join(piece.text for piece in filled(text, numeric=numeric))

    def number(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of a number, a literal, or what is neither."""
        raw = token.raw
        if _LITERALS.fullmatch(raw):
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

    def _toml_value(self, token: Token) -> Iterator[Piece]:
        """Yield what stands in the place of a number, a time or a literal of TOML."""
        if not _is_toml(token.raw):
            yield from filled(token.raw)  # no value, either
        elif _NUMBER.fullmatch(token.raw) or _LITERALS.fullmatch(token.raw):
            yield from self.number(token)
        else:
            yield literal(like_number(token.raw))

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
            if match := RFC_3339.fullmatch(text):
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
        claims = _claims_in(parts[1]) if len(parts) == 3 and all(parts) else {}
        if claims and "=" not in text and (whole := self._whole(claims)):
            return [Piece(text="{" + whole + ":jwt}", plain=self._parts(parts))]
        if claims and len(parts[2]) >= _SECRET:
            head = self._parts(parts[:2])
            rest = FILLER * (len(parts[2]) - _SECRET)
            return [Piece(text=f"{head}.{{secret:jwt}}{rest}", plain=self._parts(parts))]
        return [literal(self._parts(parts))]

    def _whole(self, claims: Mapping[str, Any]) -> str:
        """Return the time of a token that has the claims of the placeholder, or nothing."""
        if type(claims.get("exp")) is not int or not isinstance(claims.get("email"), str | None):
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
        """Return a part of a token: JSON without what it says, or letters."""
        text = _text_in(part)
        if not text:
            return re.sub(r"[^=+/]", FILLER, part)
        pieces = self.pieces(text)
        made = "".join(piece.text if piece.plain is None else piece.plain for piece in pieces)
        coded = base64.urlsafe_b64encode(made.encode()).decode()
        return coded if part.endswith("=") else coded.rstrip("=")

    def _date(self, match: re.Match[str]) -> list[Piece]:
        self.counts["times"] += 1
        _, between, _, fraction, zone = match.groups()
        try:
            at = datetime.fromisoformat(match[0].upper()).timestamp()
        except (ValueError, OverflowError):
            return [literal(no_time(match))]
        plain = "2001-01-01" if at <= self._now else "2999-01-01"
        digits = "." + "0" * (len(fraction) - 1) if fraction else ""
        if (between, zone) == ("T", "Z") and len(digits) <= 10 and _FIRST <= at < _LAST:
            form = f"rfc3339.{len(digits) - 1}" if digits else "rfc3339"
            made = "{" + f"{moment(at - self._now)}:{form}" + "}"
            return [Piece(text=made, plain=f"{plain}T00:00:00{digits}Z")]
        # The placeholder has no other form. It is kept, and of the time whether it is over.
        return [literal(f"{plain}{between}00:00:00{digits}{like_zone(zone)}")]

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


def _is_toml(raw: str) -> bool:
    """Return whether *raw* is a value in TOML."""
    try:
        tomllib.loads(f"x = {raw}")
    except ValueError:
        return False
    return True


def _text_in(part: str) -> str:
    """Return the JSON that a part of a token holds for who reads tokens; empty if it holds none."""
    if not _PART.fullmatch(part):
        return ""
    try:
        data = base64.urlsafe_b64decode(part.rstrip("=") + "==")
    except (ValueError, binascii.Error):
        return ""
    document = read_document(data)
    return data.decode() if document.kind == "json" and document.doubts <= _READ else ""


def _claims_in(part: str) -> dict[str, Any]:
    """Return the claims that a part of a token holds; none where readers differ about them."""
    text = _text_in(part)
    document = read_document(text.encode())
    value = json.loads(text) if document.kind == "json" and not document.doubts else None
    return value if isinstance(value, dict) else {}


def _is_json(raw: str) -> bool:
    """Return whether *raw*, a string as it was found, is sound; one that is no UTF-8 is not."""
    return read_document(raw.encode("utf-8", "surrogatepass")).kind == "json"

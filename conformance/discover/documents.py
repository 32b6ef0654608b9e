"""JSON documents with something odd: members that are others than a login has, and broken text."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from conformance.discover.draws import Draw
from conformance.model.entry import Bytes, Content, Runs, Text

__all__ = ["change_member", "odd_text", "written"]

#: Placeholders that stand for a number or null, where they are all of a string.
_BARE = re.compile(r"\{now(?:[+-][0-9]+(?:ms|s|m|h|d))?(?::(?:ms|s))?\}|\{null\}")

# Times keep away from every line that a contract draws: now, five minutes on, and the skews.
_TIMES = ("now-400d", "now-40d", "now-1d", "now-1h", "now-3m", "now+20m", "now+5h", "now+300d")
_FORMS = ("", "", "", ":s", ":rfc3339", ":jwt")
#: Values of each kind that JSON has, and those that languages take for true or false.
_ANY: tuple[Any, ...] = (
    *("{null}", "", " ", "  \t ", "text", 0, 1, -1, 1.5, True, False),
    *([], {}, ["text"], ["{null}"], {"text": "text"}, "null", "0", "{secret:other}"),
)
_TOKENS: tuple[Any, ...] = (
    *("{secret:other}", "{secret:openai-key}", "{secret:jwt}", "plain words", "x"),
    *("{secret}\n", " {secret}", "{secret}é", "{secret}\x01", ["{secret}"], "{now+5h:jwt}"),
)
_ID_TOKENS: tuple[Any, ...] = (
    *("{now-1d:jwt}", "a.b.c", "e30.e30.e30", "e30.e30", "e30.e30.", ".e30.e30", "e30..e30"),
    *("e30.e30.e30.e30", "e30.e30=.e30", "e30.bm90IGpzb24.e30", "{now+1h:jwt}.more", "e30"),
    *("e30.eyJhIjoxfQ.x", "e30.eyJhIjoxfQ==.x", "e30.W10.x", "e30.bnVsbA.x", "e30.!!.x"),
)
_DATES: tuple[Any, ...] = (
    *("2020-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "2020-02-30T00:00:00Z"),
    *("2020-01-01T00:00:00+02:00", "2020-01-01 00:00:00Z", "20200101T000000Z", "yesterday"),
    *("2020-01-01T00:00:00.123456789Z", "2020-13-01T00:00:00Z", "2020-01-01T25:00:00Z"),
)
_NUMBERS: tuple[Any, ...] = (0, -1, 1, 10**15, 9 * 10**18, -(10**15), 1e300, 4102444800000.5)
_SCOPES: tuple[Any, ...] = (
    *([], ["user:profile"], ["user:inference"], ["USER:INFERENCE"], ["user:inference "]),
    *("user:inference", "user:profile", [["user:inference"]], ["{null}"], [1], {}),
    *(["user:inference:more"], {"user:inference": True}, ["user:profile", "user:inference"]),
)
_MODES: tuple[Any, ...] = (
    *("apikey", "chatgpt", "ApiKey", "APIKEY", "ChatGPT", "api_key", " apikey", "chatgpt "),
    *("unknown", "chatgptAuthTokens", "none", ""),
)
#: What members of some name may hold that a login could have, or nearly has.
_FITTING: dict[str, tuple[Any, ...]] = {
    "accessToken": _TOKENS,
    "refreshToken": _TOKENS,
    "access_token": _TOKENS,
    "refresh_token": _TOKENS,
    "OPENAI_API_KEY": _TOKENS,
    "id_token": _ID_TOKENS,
    "last_refresh": _DATES,
    "expiresAt": _NUMBERS,
    "refreshTokenExpiresAt": _NUMBERS,
    "scopes": _SCOPES,
    "auth_mode": _MODES,
}
_TIMED = ("expiresAt", "refreshTokenExpiresAt", "last_refresh", "id_token", "access_token")
#: A member that no rule knows, of a value that a search for a login could stumble over.
_MORE: tuple[tuple[str, Any], ...] = (
    ("note", "text"),
    ("mcpOAuth", {"server": {"accessToken": "{secret:mcp}", "expiresAt": "{now-1d}"}}),
    ("expiresAt", "{now-1d}"),
    ("expiresAt", "{now+5h}"),
    ("claudeAiOauth", {}),
    ("accessToken", "{secret:other}"),
    ("OPENAI_API_KEY", "{secret:openai-key}"),
    ("OPENAI_API_KEY", "{null}"),
    ("tokens", {}),
    ("tokens", "{null}"),
    ("auth_mode", "apikey"),
    ("agent_identity", "{null}"),
)


def change_member(value: Any, draw: Draw) -> Any:
    """Return the JSON document *value* with one member that is another, gone, or new."""
    document = copy.deepcopy(value)
    places = list(_places(document))
    if not places:
        return draw.one_of(_ANY)
    wanted = [place for place in places if place[1] in _FITTING]
    # Half of the time it is a member that a rule is about.
    inside, key = draw.one_of(wanted if wanted and draw.below(2) else places)
    change = draw.weighted(_MEMBER_CHANGES)
    return change(document, inside, key, draw)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every member below *value*: what holds it, and its key there."""
    keys: Sequence[Any] = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _replaced(document: Any, inside: Any, key: Any, draw: Draw) -> Any:
    inside[key] = draw.one_of(_ANY)
    return document


def _fitting(document: Any, inside: Any, key: Any, draw: Draw) -> Any:
    if key in _TIMED and draw.below(2):
        inside[key] = f"{{{draw.one_of(_TIMES)}{draw.one_of(_FORMS)}}}"
    else:
        inside[key] = draw.one_of(_FITTING.get(key, _ANY))
    return document


def _removed(document: Any, inside: Any, key: Any, _: Draw) -> Any:
    del inside[key]
    return document


def _renamed(document: Any, inside: Any, key: Any, draw: Draw) -> Any:
    if isinstance(key, str):
        names = (key.lower(), key.upper(), f"{key}s", f"_{key}", key.replace("_", ""), f"{key} ")
        inside[draw.one_of(names)] = inside.pop(key)
    return document


def _added(document: Any, inside: Any, _: Any, draw: Draw) -> Any:
    if isinstance(inside, dict):
        name, value = draw.one_of(_MORE)
        before = {name: value} if draw.below(2) else {}
        inside_before = {key: inner for key, inner in inside.items() if key != name}
        inside.clear()
        inside.update({**before, **inside_before, name: copy.deepcopy(value)})
    return document


def _flattened(document: Any, inside: Any, key: Any, _: Draw) -> Any:
    """Put the members of an object where the object was."""
    if isinstance(inside, dict) and isinstance(inside[key], dict):
        inside.update(inside.pop(key))
    return document


def _wrapped(document: Any, _: Any, __: Any, draw: Draw) -> Any:
    return draw.one_of(([document], {"login": document}, {"claudeAiOauth": document}))


_Change = Callable[[Any, Any, Any, Draw], Any]
_MEMBER_CHANGES: tuple[tuple[int, _Change], ...] = (
    (7, _fitting),
    (4, _removed),
    (4, _replaced),
    (2, _added),
    (1, _renamed),
    (1, _flattened),
    (1, _wrapped),
)


def written(value: Any) -> str:
    """Return the JSON document *value* as text with the same placeholders."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}: {written(inner)}" for key, inner in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(written(inner) for inner in value)}]"
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value)


#: Whole documents: what is no login, no object, or no JSON.
_DOCUMENTS = (
    *("", " \n", "null", "[]", "{}", "0", "true", '"text"', "text", "{", "[1, 2", "NaN", "\0"),
    *('{"a": NaN}', "{'a': 1}", '{"a": 1,}', '{"a" 1}', '{"a": 01}', '["\\ud800"]', "-", "{}}"),
    *('{"a": 1, "a": 2}', "// a\n{}", '{"a": "b\nc"}', '{"a": tru}', "\ufeff{}", "[]\0"),
    *('{"claudeAiOauth": {}}', '{"OPENAI_API_KEY": 1}', '{"tokens": []}', "[-1.5e3]", "{byte:e9}"),
)
_PREFIXES = ("\ufeff", "// written by a tool\n", "x", "{byte:e9}", "{byte:ff}", " \n", "\0")
_SUFFIXES = ("x", "\0", "}", "{}", "\n\nmore", "{byte:e9}", ",", "\n", " # a note", "\0{")
#: What cannot be decoded, or not by everybody.
_BYTES = ("[]".encode("utf-16"), '{"a": 1}'.encode("utf-16-le"), b"\xff\xfe\xfd", b"[\xc3\x28]")
#: How deep and how long: more than a recursion, or a buffer, may take.
_DEEP, _LONG = 100_000, 70_000


def odd_text(value: Any, draw: Draw) -> Content:
    """Return what a file may hold in place of the JSON document *value*."""
    text = written(value)
    return draw.weighted(_TEXT_CHANGES)(text, draw)


def _whole(_: str, draw: Draw) -> Content:
    return Text(draw.one_of(_DOCUMENTS))


def _before(text: str, draw: Draw) -> Content:
    return Text(draw.one_of(_PREFIXES) + text)


def _behind(text: str, draw: Draw) -> Content:
    return Text(text + draw.one_of(_SUFFIXES))


def _cut(text: str, draw: Draw) -> Content:
    """Return *text* up to one of its commas or colons, as a write that was cut short leaves it."""
    ends = [match.end() for match in re.finditer(r'(?<=")(?::|, )|\}', text)]
    return Text(text[: draw.one_of(ends)] if ends else text[:-1])


def _inside(text: str, draw: Draw) -> Content:
    """Return *text* with one more member, that not everybody reads, in one of its objects."""
    openings = [match.end() for match in re.finditer(r"\{(?=\")", text)]
    if not openings:
        return Text(text)
    at = draw.one_of(openings)
    members = (
        *('"more": NaN, ', '"more": "{byte:e9}", ', '"more": "\\ud800", ', '"more": "a\tb", '),
        *('"more": 1, "more": 2, ', '"more": 1e999, ', ", ", "more: 1, ", "/* a */ "),
        *('"accessToken": "{secret:other}", ', '"OPENAI_API_KEY": "x", ', '"tokens": {null}, '),
        *('"access_token": "x", ', '"expiresAt": {now-1d}, ', '"auth_mode": "apikey", '),
    )
    return Text(text[:at] + draw.one_of(members) + text[at:])


def _on_lines(text: str, _: Draw) -> Content:
    """Return *text* as it is written for people: with a line for each member."""
    return Text(re.sub(r'(?<=[\[{,]) ?(?=[\["{])', "\n  ", text) + "\n")


def _bytes(_: str, draw: Draw) -> Content:
    return Bytes(draw.one_of(_BYTES))


def _runs(text: str, draw: Draw) -> Content:
    runs = (
        ((text, 1), (" ", _LONG), ("x", 1)),
        ((" ", _LONG), (text, 1)),
        (("[", _DEEP), ("]", _DEEP)),
        (('{"a": ', 1), ("[", _DEEP), ("]", _DEEP), ("}", 1)),
        (('{"a": 1', 1), ("0", 5000), ("}", 1)),
        (('{"a": "', 1), ("a", 2 * 1024 * 1024), ('"}', 1)),
        ((text, 1), (" ", 2 * 1024 * 1024)),
    )
    return Runs(draw.one_of(runs))


_TEXT_CHANGES: tuple[tuple[int, Callable[[str, Draw], Content]], ...] = (
    (6, _whole),
    (2, _on_lines),
    (4, _cut),
    (4, _inside),
    (3, _behind),
    (2, _before),
    (2, _runs),
    (1, _bytes),
)

"""Describe the entries of a HOME in words, and how those of one differ from those of another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from conformance.model.entry import Bytes, Content, Entry, Json, Runs, Text
from conformance.model.members import members
from conformance.model.scenario import Scenario
from conformance.text import shortened

__all__ = ["describe_entry", "entries_against"]

#: Members in which a JSON document is told from another are named; of more, how many there are.
_FEW = 3
#: Characters of a content, and of a member, that are shown.
_LONGEST, _LONGEST_MEMBER = 100, 40
#: Characters that are shown before the one in which two texts begin to differ.
_BEFORE = 20
#: A layer with so many entries is named; those of a smaller one are listed.
_MANY = 5


def describe_entry(entry: Entry) -> str:
    """Describe an entry without its path: kind, content in short, and whatever is special."""
    return ", ".join([_content(entry), *_special(entry)])


def _special(entry: Entry) -> Iterator[str]:
    if entry.size is not None and entry.content is not None:
        yield f"padded to {entry.size} bytes"
    if entry.mode is not None:
        yield f"mode {entry.mode:04o}"
    if entry.owner is not None:
        yield f"owner {entry.owner}"
    if entry.mtime:
        yield f"changed {entry.mtime}"
    if entry.depth:
        yield f"{entry.depth} directories further down"
    if entry.count > 1:
        yield f"{entry.count} times"


def _content(entry: Entry) -> str:
    if entry.kind == "symlink":
        return f"symlink to {entry.target}"
    if entry.kind != "file":
        return entry.kind
    if entry.content is None:
        return f"file of {entry.size} blanks" if entry.size else "empty file"
    return _contents(entry.content)


def _contents(content: Content | None) -> str:
    match content:
        case None:
            return "file"
        case Json(value):
            return f"JSON {shortened(json.dumps(value), _LONGEST)}"
        case Text(text):
            return f"text {shortened(json.dumps(text), _LONGEST)}" if text else "empty file"
        case Bytes(data):
            return f"bytes {shortened(data.hex(), _LONGEST)}"
        case Runs(runs):
            words = [f"{shortened(json.dumps(text), _LONGEST)}×{times}" for text, times in runs]
            return f"text {' '.join(words)}"


def entries_against(scenario: Scenario, control: Scenario) -> Iterator[str]:
    """Yield what the HOME of *scenario* has (+) and lacks (-) against that of *control*."""
    # The words tell apart what Python takes for equal, such as true and 1; the entries, what is
    # too long for the words.
    here = {entry.path: (describe_entry(entry), entry) for entry in scenario.entries}
    there = {entry.path: (describe_entry(entry), entry) for entry in control.entries}
    ours, theirs = _layers_against(scenario, control), _layers_against(control, scenario)
    yield from (f"+ layer {name}: {len(paths)} entries" for name, paths in ours.items())
    yield from (f"- layer {name}: {len(paths)} entries" for name, paths in theirs.items())
    told = {path for paths in (*ours.values(), *theirs.values()) for path in paths}
    for path in sorted((here.keys() | there.keys()) - told):
        if path not in here:
            yield f"- {path}: {_against_layers(there[path][1], control.layers)}"
        elif path not in there:
            yield f"+ {path}: {_against_layers(here[path][1], scenario.layers)}"
        elif here[path] != there[path]:
            yield f"+ {path}: {_changed(here[path][1], there[path][1])}"


def _against_layers(entry: Entry, layers: Mapping[str, tuple[Entry, ...]]) -> str:
    """Describe an entry that the other HOME lacks: by the layer it comes from, if it is long."""
    words = describe_entry(entry)
    if not words.endswith("…"):
        return words
    for name, entries in layers.items():
        for layer in entries:
            if layer == entry:
                return f"as layer {name} has it"
            if layer.kind == "file" and replace(layer, path=entry.path) == entry:
                return f"as layer {name} has {layer.path}"
            if layer.path == entry.path and (changes := _members_against(entry, layer)):
                return f"as layer {name} has it, {changes}"
    return words


def _changed(ours: Entry, theirs: Entry) -> str:
    """Describe *ours* in the place of *theirs*, with that in which they differ."""
    if (ours.kind, ours.target) != (theirs.kind, theirs.target):
        return describe_entry(ours)
    special, other = list(_special(ours)), list(_special(theirs))
    if special == other:
        return _other_content(ours, theirs)
    content = _contents(ours.content)
    if ours.kind != "file" or not content.endswith("…") or content != _contents(theirs.content):
        return describe_entry(ours)
    return ", ".join(["the same", *special, *(f"not {words}" for words in other if not special)])


def _other_content(ours: Entry, theirs: Entry) -> str:
    """Describe the content of *ours*, which differs from *theirs* in nothing else."""
    if words := _members_against(ours, theirs):
        return f"JSON {words}"
    return _contents_against(ours, theirs)


def _members_against(ours: Entry, theirs: Entry) -> str:
    """Return in which members two entries differ, if they are JSON and differ in nothing else."""
    if not (isinstance(ours.content, Json) and isinstance(theirs.content, Json)):
        return ""
    if replace(ours, content=None) != replace(theirs, content=None):
        return ""
    here = members(ours.content.value, theirs.content.value)
    there = members(theirs.content.value, ours.content.value)
    changed = [name for name in here if here[name] != there.get(name)]
    lost = [f"no {name}" for name in there if name not in here]
    if "" in changed:
        return ""
    words = [f"{name} {_from_change(here[name], there.get(name, ''))}" for name in changed]
    if not (words or lost):
        return "with its members in another order"
    told = [*words, *lost]
    if len(told) > _FEW and not describe_entry(ours).endswith("…"):
        return ""
    more = f" and {len(told) - _FEW} more members" if len(told) > _FEW else ""
    return f"with {', '.join(told[:_FEW])}{more}"


def _contents_against(ours: Entry, theirs: Entry) -> str:
    """Describe a content from where it begins to differ from that of *theirs*."""
    plain = describe_entry(ours)
    here, there = _as_text(ours.content), _as_text(theirs.content)
    if here is None or there is None or not plain.endswith("…"):
        return plain
    if not isinstance(theirs.content, type(ours.content)):  # a document may be laid out otherwise
        here, there = "".join(here.split()), "".join(there.split())
    same = _same_start(here, there)
    if same <= _BEFORE:
        return plain
    if isinstance(ours.content, Bytes):
        same -= same % 2  # a byte has two digits
    kind = plain.split()[0]
    if same == len(here):
        return f"{kind} that is cut off: …{_quoted(ours, here[-_BEFORE:])}"
    shown = shortened(_quoted(ours, here[same - _BEFORE :]), _LONGEST)
    return f"{kind} with another end: …{shown}"


def _quoted(entry: Entry, text: str) -> str:
    return text if isinstance(entry.content, Bytes) else json.dumps(text, ensure_ascii=False)


def _from_change(text: str, other: str) -> str:
    """Shorten *text*, but not where it begins to differ from *other*."""
    same = _same_start(text, other)
    if len(text) <= _LONGEST_MEMBER or same <= _BEFORE:
        return shortened(text, _LONGEST_MEMBER)
    return f"…{shortened(text[same - _BEFORE // 2 :], _LONGEST_MEMBER)}"


def _same_start(one: str, other: str) -> int:
    """Return with how many characters both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _as_text(content: Content | None) -> str | None:
    """Return a content as text, as far as that can be compared; None where it cannot."""
    match content:
        case Json(value):
            return json.dumps(value)
        case Text(text):
            return text
        case Bytes(data):
            return data.hex()
    return None


def _layers_against(scenario: Scenario, other: Scenario) -> dict[str, set[str]]:
    """Return the large layers of *scenario* that *other* lacks, with what is there of each."""
    missing = {one.path: one for one in scenario.entries}
    for one in other.entries:
        missing.pop(one.path, None)
    found = {}
    for name, entries in scenario.layers.items():
        paths = {one.path for one in entries if missing.get(one.path) == one}
        if name not in other.layers and len(paths) >= _MANY:
            found[name] = paths
    return found

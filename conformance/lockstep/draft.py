"""Contracts from what is there: one drafted from a Manager, and two side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from conformance.lockstep.faults import ranges
from conformance.lockstep.managers.answers import Answers
from conformance.model.contract import Action, Contract, Verdict

__all__ = ["differences", "draft"]


def draft(base: Contract, answers: Answers, name: str, source: str, parent: Contract | None) -> str:
    """Return the text of a contract file: *base*, with the codes that the Manager acts on as it asks for.

    It extends *parent*, which is *base* or one of its ancestors, and says what *base* does not have
    from there.
    What the Manager does beyond that, and what *base* asks for and the Manager does not do, stands there as remarks:
    a draft is to be read by a person before it judges anything.
    """
    codes = _codes(answers)
    usual = _otherwise(answers)
    lines = [
        f"# Drafted from {source}: read it, and mend it, before it judges anything.",
        f"name = {_text(name)}",
        'version = "1"',
        f"summary = {_text(f'As {base.name}, with the codes of a Manager')}",
    ]
    if parent is not None:
        lines += [f"extends = {_text(parent.name)}"]
    if base != parent and base.name != name:
        how = "add it to their expectations"
        lines += [f"# Scenarios that name {base.name} do not name this contract: {how}."]
    if usual is not None:
        lines += ["# What the Manager does with every code that is no verdict.", f"otherwise = {_text(usual.name)}"]
    elif parent is None or base.otherwise != parent.otherwise:
        lines += [f"otherwise = {_list(base.otherwise)}"]
    lines += _keys(base, parent)
    taken: set[Action] = set()
    for verdict in base.verdicts:
        lines += ["", *_verdict(verdict, codes, taken)]
    for action, listed in codes.items():
        if action not in taken and action != usual:
            lines += ["", f"# The Manager also does {action} on {ranges(listed)}: no verdict of {base.name} asks for that."]
    lines += _tables(base, parent)
    return "\n".join(lines) + "\n"


def _keys(base: Contract, parent: Contract | None) -> Iterator[str]:
    """Yield the keys outside of tables for what *base* does not have from *parent*."""
    for key in ("agents", "allowed_writes", "entrypoint_writes"):
        if parent is None or getattr(base, key) != getattr(parent, key):
            yield f"{key} = {_list(getattr(base, key))}"
    if parent is None or base.outside_writes != parent.outside_writes:
        yield f"outside_writes = {_text(base.outside_writes)}"


def _tables(base: Contract, parent: Contract | None) -> Iterator[str]:
    """Yield the tables for what *base* does not have from *parent*."""
    if parent is None or base.inputs != parent.inputs:
        yield from ("", "[inputs]")
        for key in ("home", "agent", "opposite_home"):
            yield f"{key} = {_text(getattr(base.inputs, key))}"
    if parent is None or base.limits != parent.limits:
        yield from ("", "[limits]", f"seconds = {base.limits.seconds}")
    if base.commands != (parent.commands if parent else {}):
        yield from ("", "[commands]")
        for agent, command in base.commands.items():
            yield f"{_text(agent)} = {_list(command)}"
    for name, rule in base.rules.items():
        if parent is None or parent.rules.get(name) != rule:
            yield from ("", f"[rules.{name}]", f"text = {_text(rule.text)}")
            kind, listed = ("expect", rule.expect) if rule.expect else ("findings", rule.findings)
            yield f"{kind} = {_list(listed)}"


def _codes(answers: Answers) -> dict[Action, list[int]]:
    """Return, for each action of the Manager, the exit codes on which it does it."""
    codes: dict[Action, list[int]] = {}
    for code, answer in sorted(answers.by_code.items()):
        if code >= 0 and answer.action is not None:
            codes.setdefault(answer.action, []).append(code)
    return codes


def _otherwise(answers: Answers) -> Action | None:
    """Return what the Manager does with most codes, which is what it does with those that nobody thought of."""
    counts = Counter(answer.action for code, answer in answers.by_code.items() if code >= 0)
    action, times = counts.most_common(1)[0]
    return action if times * 2 > 256 else None


def _verdict(verdict: Verdict, codes: dict[Action, list[int]], taken: set[Action]) -> Iterator[str]:
    actions = [action for action in codes if action.covers(verdict.asks)] or [a for a in codes if a.name == verdict.action]
    listed = sorted(code for action in actions for code in codes[action])
    taken.update(actions)
    code = verdict.code if verdict.code in listed or not listed else listed[0]
    done = actions[0] if actions else verdict.asks
    yield f"[verdicts.{verdict.name}]"
    if not listed:
        yield f"# The Manager does {verdict.asks} on no code; this is the code it had."
    elif len(listed) > 1:
        yield f"# The Manager does {done} on {ranges(listed)}."
    was = f" # was {verdict.code}" if code != verdict.code else ""
    yield f"code = {code}{was}"
    yield f"meaning = {_text(verdict.meaning)}"
    yield f"action = {_text(done.name)}"
    if done.labels or verdict.labels:
        lost = "" if done.labels >= set(verdict.labels) else f" # was {_list(verdict.labels)}"
        yield f"labels = {_list(sorted(done.labels))}{lost}"


def _text(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def differences(one: Contract, other: Contract) -> Iterator[tuple[str, str, str]]:
    """Yield, for everything that a contract says, what it is and how each of the two has it."""
    yield "version", one.version, other.version
    yield "extends", ", ".join(one.lineage[1:]), ", ".join(other.lineage[1:])
    yield "agents", ", ".join(one.agents), ", ".join(other.agents)
    names = dict.fromkeys([verdict.name for contract in (one, other) for verdict in contract.verdicts])
    for name in names:
        yield name, _has(one, name), _has(other, name)
    yield "any other code", " or ".join(one.otherwise), " or ".join(other.otherwise)
    for field in ("home", "agent", "opposite_home"):
        yield f"input: {field}", getattr(one.inputs, field), getattr(other.inputs, field)
    yield "seconds", f"{one.limits.seconds:g}", f"{other.limits.seconds:g}"
    for field in ("allowed_writes", "entrypoint_writes"):
        yield field, ", ".join(getattr(one, field)), ", ".join(getattr(other, field))
    yield "outside_writes", one.outside_writes, other.outside_writes


def _has(contract: Contract, name: str) -> str:
    found = next((verdict for verdict in contract.verdicts if verdict.name == name), None)
    return f"{found.code}: {found.asks}" if found else "no such verdict"

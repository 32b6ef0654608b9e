"""Contracts from what is there: one drafted from a Manager, and two side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec.structs import asdict

from conformance.errors import UsageError
from conformance.lockstep.faults import ranges
from conformance.lockstep.managers.answers import Answers
from conformance.model.contract import (
    Action,
    Contract,
    DocumentAnswer,
    Inputs,
    Limits,
    Route,
    Rule,
    Verdict,
)
from conformance.model.start_wording import entrypoint_facts

__all__ = ["check_read_by_manager", "differences", "draft"]


def check_read_by_manager(contract: Contract) -> None:
    """Make sure that a Manager can read the answers under *contract*.

    :raises UsageError: it is about an entrypoint, whose exit code is that of what it starts.
    """
    if contract.entrypoint is not None:
        cause = f"contract '{contract.name}' is about an entrypoint, which answers nothing itself"
        raise UsageError(cause, hint="name the contract of a probe")


def draft(base: Contract, answers: Answers, name: str, source: str, parent: Contract | None) -> str:
    """Return the text of a contract file: *base*, with the codes of a Manager.

    It extends *parent*, which is *base* or one of its ancestors, and says how *base* differs from
    *parent*. Comments say what the Manager does beyond the contract, and what it does not do
    although *base* asks for it: a person has to read a draft before it judges anything.
    """
    codes = _codes(answers)
    usual = _otherwise(answers)
    lines = [
        f"# Drafted from {source}: read and correct it before it judges anything.",
        f"name = {_text(name)}",
        'version = "1"',
        f"summary = {_text(f'As {base.name}, with the codes of a Manager')}",
    ]
    if parent is not None:
        lines.append(f"extends = {_text(parent.name)}")
    if base != parent and base.name != name:
        elsewhere = f"# Scenarios that name {base.name} do not name this contract"
        lines.append(f"{elsewhere}: add it to their expectations.")
    if usual is not None:
        lines.append("# What the Manager does with every code that is no verdict.")
        lines.append(f"otherwise = {_text(usual.name)}")
    elif parent is None or base.otherwise != parent.otherwise:
        lines.append(f"otherwise = {_list(base.otherwise)}")
    lines += _keys(base, codes, parent)
    known = {verdict.name for verdict in base.verdicts}
    off = [one.name for one in (parent.verdicts if parent else ()) if one.name not in known]
    lines += ["", "[verdicts]", *(f'{name} = "off"' for name in off)] if off else []
    taken: set[Action] = set()
    for verdict in base.verdicts:
        lines += ["", *_verdict(verdict, codes, taken)]
    lines += _beyond(base, codes, {*taken, usual})
    lines += _tables(base, parent)
    return "\n".join(lines) + "\n"


def _beyond(
    base: Contract,
    codes: dict[Action, list[int]],
    known: set[Action | None],
) -> Iterator[str]:
    """Yield what the Manager does besides the *known* actions."""
    for action, listed in codes.items():
        if action not in known:
            does = f"# The Manager also does {action} on {ranges(listed)}"
            yield from ("", f"{does}: no verdict of {base.name} asks for that.")


def _keys(base: Contract, codes: dict[Action, list[int]], parent: Contract | None) -> Iterator[str]:
    """Yield the keys outside of tables in which *base*, with new *codes*, is not as *parent*."""
    for key in ("agents", "allowed_writes", "entrypoint_writes"):
        if parent is None or getattr(base, key) != getattr(parent, key):
            yield f"{key} = {_list(getattr(base, key))}"
    if parent is None or base.outside_writes != parent.outside_writes:
        yield f"outside_writes = {_text(base.outside_writes)}"
    truth = _new_truth(base, codes)
    if truth and truth != list((parent.truth if parent else None) or ()):
        yield f"truth = {truth}"
    if base.in_steps and not (parent and parent.in_steps):
        yield "in_steps = true"


def _tables(base: Contract, parent: Contract | None) -> Iterator[str]:
    """Yield the tables in which *base* differs from *parent*."""
    if parent is None or base.inputs != parent.inputs:
        yield from ("", "[inputs]")
        taken = asdict(parent.inputs) if parent is not None else {}
        for key, value in asdict(base.inputs).items():
            if value or taken.get(key):  # what is empty takes away what the parent has
                yield f"{key} = {_text(value)}"
    if parent is None or base.limits != parent.limits:
        given = {key: seconds for key, seconds in asdict(base.limits).items() if seconds}
        yield from ("", "[limits]", *(f"{key} = {seconds}" for key, seconds in given.items()))
    if base.commands != (parent.commands if parent else {}):
        yield from ("", "[commands]")
        for agent, command in base.commands.items():
            yield f"{_text(agent)} = {_list(command)}"
    if base.document is not None and base.document != (parent.document if parent else None):
        yield from _answer(base.document)
    if base.requests is not None and base.requests != (parent.requests if parent else None):
        yield from ("", "[requests]", f"token_header = {_text(base.requests.token_header)}")
        for name, route in base.requests.routes().items():
            members = ", ".join(f"{key} = {_text(value)}" for key, value in route.members.items())
            where = f"method = {_text(route.method)}, path = {_text(route.path)}"
            where += f", members = {{ {members} }}" if members else ""
            yield f"{name} = {{ {where} }}"
    yield from _rules(base, parent)


def _answer(document: DocumentAnswer) -> Iterator[str]:
    yield from ("", "[answer]", f"member = {_text(document.member)}")
    if not document.exit_code:
        yield "exit_code = false"
    yield from ("", "[answer.values]")
    for value, verdict in document.values.items():
        yield f"{_text(value)} = {_text(verdict)}"


def _rules(base: Contract, parent: Contract | None) -> Iterator[str]:
    inherited = parent.rules if parent else {}
    off = [name for name, rule in base.rules.items() if rule.off]
    if off:
        yield from ("", "[rules]", *(f'{name} = "off"' for name in off))
    for name, rule in base.rules.items():
        if inherited.get(name) == rule:
            continue
        if rule.off:
            continue
        yield from ("", f"[rules.{name}]", f"text = {_text(rule.text)}")
        if rule.expect:
            yield f"expect = {_list(rule.expect)}"
        else:
            yield f"findings = {_list(rule.findings)}"
            yield f"level = {_text(rule.level)}"


def _codes(answers: Answers) -> dict[Action, list[int]]:
    """Return, for each action of the Manager, the exit codes on which it does it."""
    codes: dict[Action, list[int]] = {}
    for code, answer in sorted(answers.by_code.items()):
        if code >= 0 and answer.action is not None:
            codes.setdefault(answer.action, []).append(code)
    return codes


def _otherwise(answers: Answers) -> Action | None:
    """Return what the Manager does with more than half of the exit codes, if anything."""
    counts = Counter(answer.action for code, answer in answers.by_code.items() if code >= 0)
    action, times = counts.most_common(1)[0]
    return action if times * 2 > 256 else None


def _verdict(
    verdict: Verdict,
    codes: dict[Action, list[int]],
    taken: set[Action],
) -> Iterator[str]:
    """Yield the table of a verdict; add the Manager's actions for it to *taken*."""
    actions = _meaning(verdict, codes)
    taken.update(actions)
    listed = sorted(code for action in actions for code in codes[action])
    done = actions[0] if actions else verdict.asks
    new = _new_codes(verdict, codes)
    yield f"[verdicts.{verdict.name}]"
    if not listed:
        yield f"# The Manager does {verdict.asks} on no code; this is the code it had."
    elif len(listed) > 1:
        yield f"# The Manager does {done} on {ranges(listed)}."
    was = f" # was {ranges(verdict.codes)}" if new != verdict.codes else ""
    yield f"code = {_numbers(new)}{was}"
    yield f"meaning = {_text(verdict.meaning)}"
    yield f"action = {_text(done.name)}"
    if verdict.cli_code:
        yield "cli_code = true"
    if done.labels or verdict.labels:
        lost = "" if done.labels >= set(verdict.labels) else f" # was {_list(verdict.labels)}"
        yield f"labels = {_list(sorted(done.labels))}{lost}"


def _meaning(verdict: Verdict, codes: dict[Action, list[int]]) -> list[Action]:
    """Return the actions by which the Manager means *verdict*."""
    actions = [action for action in codes if action.covers(verdict.asks)]
    # Where it loses a label, it still means this verdict.
    return actions or [action for action in codes if action.name == verdict.action]


def _new_codes(verdict: Verdict, codes: dict[Action, list[int]]) -> tuple[int, ...]:
    """Return the codes of *verdict* with those of the Manager.

    The codes that the Manager knows as this verdict stay; else its first one is the new code.
    """
    listed = sorted(code for action in _meaning(verdict, codes) for code in codes[action])
    kept = [code for code in verdict.codes if code in listed]
    return tuple(kept or listed[:1]) or verdict.codes


def _new_truth(base: Contract, codes: dict[Action, list[int]]) -> list[int]:
    """Return the codes of true and false, which go where the verdicts go that they say."""
    found = []
    for code in base.truth or ():
        new = _new_codes(base.verdict(base.verdicts_of(code)[0]), codes)
        found.append(code if code in new else new[0])
    return found


def _numbers(codes: Sequence[int]) -> str:
    return str(codes[0]) if len(codes) == 1 else f"[{', '.join(map(str, codes))}]"


def _text(text: str) -> str:
    # A JSON string is a TOML basic string, except for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def differences(one: Contract, other: Contract) -> Iterator[tuple[str, str, str]]:
    """Yield, for everything that a contract says, what it is and how each of the two has it.

    Rules are many, so of them only those that differ.
    """
    yield "version", one.version, other.version
    yield "extends", ", ".join(one.lineage[1:]), ", ".join(other.lineage[1:])
    yield "agents", ", ".join(one.agents), ", ".join(other.agents)
    verdicts = (*one.verdicts, *other.verdicts)
    for name in dict.fromkeys(verdict.name for verdict in verdicts):
        yield name, _has(one, name), _has(other, name)
    yield "any other code", " or ".join(one.otherwise), " or ".join(other.otherwise)
    for field in Inputs.__struct_fields__:
        yield f"input: {field}", getattr(one.inputs, field), getattr(other.inputs, field)
    for field in Limits.__struct_fields__:
        yield field, f"{getattr(one.limits, field):g}", f"{getattr(other.limits, field):g}"
    for field in ("allowed_writes", "entrypoint_writes"):
        yield field, ", ".join(getattr(one, field)), ", ".join(getattr(other, field))
    yield "outside_writes", one.outside_writes, other.outside_writes
    yield "commands", _commands(one), _commands(other)
    for name, here, there in _requests(one, other):
        yield name, here, there
    yield "answer on stdout", _document(one), _document(other)
    yield "true and false", _truth(one), _truth(other)
    yield "asked", _asked(one), _asked(other)
    ours, theirs = (dict(entrypoint_facts(contract.entrypoint)) for contract in (one, other))
    for name in dict.fromkeys((*ours, *theirs)):
        yield name, ours.get(name, ""), theirs.get(name, "")
    for name in dict.fromkeys((*one.rules, *other.rules)):
        here, there = _rule(one.rules.get(name)), _rule(other.rules.get(name))
        if here != there:
            yield f"rule: {name}", here, there


def _commands(contract: Contract) -> str:
    return "; ".join(f"{agent}: {' '.join(words)}" for agent, words in contract.commands.items())


def _requests(one: Contract, other: Contract) -> Iterator[tuple[str, str, str]]:
    """Yield how each of the two speaks to the Manager, where either does."""
    sides = [contract.requests for contract in (one, other)]
    if any(sides):
        headers = [side.token_header if side else "" for side in sides]
        yield "request: token_header", headers[0], headers[1]
        for name in ("url", "code", "complete"):
            here, there = (_route(side.routes()[name]) if side else "" for side in sides)
            yield f"request: {name}", here, there


def _route(route: Route) -> str:
    members = ", ".join(f"{key} = {value}" for key, value in route.members.items())
    return f"{route.method} {route.path} {{{members}}}"


def _truth(contract: Contract) -> str:
    return "" if contract.truth is None else ", ".join(map(str, contract.truth))


def _asked(contract: Contract) -> str:
    return "in steps" if contract.in_steps else "once"


def _document(contract: Contract) -> str:
    where = contract.document
    if where is None:
        return ""
    values = ", ".join(f"{value} is {verdict}" for value, verdict in where.values.items())
    return f"{where.member}: {values}" + ("" if where.exit_code else "; no exit code")


def _rule(rule: Rule | None) -> str:
    """Return what *rule* calls for, in words; nothing where there is none."""
    if rule is None:
        return ""
    if rule.off:
        return "off"
    return " or ".join(rule.expect) or f"{rule.level}: {', '.join(rule.findings)}"


def _has(contract: Contract, name: str) -> str:
    found = next((verdict for verdict in contract.verdicts if verdict.name == name), None)
    if found is None:
        return "no such verdict"
    passed_on = "; a CLI's own code, too" if found.cli_code else ""
    return f"{ranges(found.codes)}: {found.asks}{passed_on}"

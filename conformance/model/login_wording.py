"""Describe a scripted login in words, and how one differs from another."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from conformance.model.entry_wording import describe_entry
from conformance.model.login import (
    Act,
    CloseTerminal,
    End,
    Hang,
    Ignore,
    Login,
    ManagerAnswer,
    Pause,
    Print,
    Prompt,
    Read,
    Remove,
    Write,
)
from conformance.model.scenario import Scenario
from conformance.text import shortened

__all__ = ["login_against", "login_lines"]

#: Characters of a line.
_LONGEST = 200


def login_lines(login: Login) -> Iterator[str]:
    """Yield a line for each thing that happens in *login*, and for what is expected of it."""
    for act in login.acts:
        yield f"the CLI {_act(act)}"
    if login.refuses:
        yield "nobody listens where the Manager should be"
    for name, answers in login.manager.items():
        for number, answer in enumerate(answers):
            which = " and from then on" if number == len(answers) - 1 and number else ""
            yield f"to '{name}'{which} the Manager {_answer(answer)}"
    for url in login.urls:
        yield f"to hand over: {url}"
    if not login.urls:
        yield "to hand over: nothing"
    if login.user_code:
        yield f"beside it: the code {login.user_code}"
    for text in login.typed:
        yield f"to type: {text}"


def login_against(scenario: Scenario, control: Scenario) -> tuple[str, ...]:
    """Return what happens in the login of *scenario* (+), and only in that of *control* (-)."""
    theirs, ours = (
        [shortened(line, _LONGEST) for line in login_lines(one.login)] if one.login else []
        for one in (control, scenario)
    )
    lines = []
    for tag, a, b, c, d in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [f"- {line}" for line in theirs[a:b]]
            lines += [f"+ {line}" for line in ours[c:d]]
    return tuple(lines)


def _act(act: Act) -> str:
    match act:
        case Print(content, times):
            often = f", {times} times" if times > 1 else ""
            return f"prints {describe_entry(content)}{often}"
        case Pause(seconds):
            return f"pauses for {seconds:g} s"
        case Prompt(text):
            return f"shows the prompt {text!r}, and waits for /login"
        case Read(text):
            return f"reads a code, of which {text} is right"
        case Write(entries, same):
            what = "; ".join(f"{entry.path}: {describe_entry(entry)}" for entry in entries)
            kept = ", and keeps the times of their last change" if same else ""
            return f"writes {what}{kept}"
        case Remove(path):
            return f"removes {path}"
        case Ignore(signals):
            return f"ignores {', '.join(signals)}"
        case CloseTerminal() | Hang():
            return "closes its terminal" if isinstance(act, CloseTerminal) else "hangs"
        case End(code, signal):
            return f"dies by {signal}" if signal else f"ends with exit code {code}"


def _answer(answer: ManagerAnswer) -> str:
    words = f"answers {answer.status}"
    if answer.fails:
        words = {"hangs": "gives no answer", "closes": "closes the connection"}[answer.fails]
    if answer.code is not None:
        words += f" with the code {answer.code}"
    if answer.code_null:
        words += " with null as the code"
    if answer.body is not None:
        words += f" with {describe_entry(answer.body)}"
    if answer.redirect:
        words += f", and sends to {answer.redirect}"
    if answer.delay:
        words += f", after {answer.delay:g} s"
    if answer.after_urls:
        words += f", once {answer.after_urls} URLs have been handed over"
    return words

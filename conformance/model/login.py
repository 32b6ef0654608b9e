"""A login as a scenario scripts it: what the CLI does, and what the Manager answers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from conformance.model.entry import Entry

__all__ = [
    "Act",
    "CloseTerminal",
    "End",
    "Hang",
    "Ignore",
    "Login",
    "ManagerAnswer",
    "Pause",
    "Print",
    "Prompt",
    "Read",
    "Remove",
    "RequestName",
    "Write",
]

#: What the requests are called that a contract describes.
RequestName = Literal["url", "code", "complete"]


class Print(Struct, frozen=True, tag="print"):
    """The CLI prints something, in one piece."""

    content: Entry
    """What it prints, as the content of a file."""
    times: int = 1


class Pause(Struct, frozen=True, tag="pause"):
    """The CLI does nothing for a while."""

    seconds: float


class Prompt(Struct, frozen=True, tag="prompt"):
    """The CLI shows a prompt, and waits for ``/login``; not where it was started with arguments."""

    text: str


class Read(Struct, frozen=True, tag="read"):
    """The CLI reads the operator's code. It asks again for another one, twice at the most."""

    text: str
    """The code that is right, with placeholders."""


class Write(Struct, frozen=True, tag="write"):
    """The CLI writes below the HOME."""

    entries: tuple[Entry, ...]
    same_mtime: bool = False
    """Whether files that were there before keep the time of their last change."""


class Remove(Struct, frozen=True, tag="remove"):
    """The CLI removes a file below the HOME."""

    path: str


class CloseTerminal(Struct, frozen=True, tag="close"):
    """The CLI closes its terminal, and lives."""


class Ignore(Struct, frozen=True, tag="ignore"):
    """The CLI ignores signals from now on."""

    signals: tuple[str, ...]
    """Their names, such as ``SIGTERM``."""


class Hang(Struct, frozen=True, tag="hang"):
    """The CLI does not come to an end."""


class End(Struct, frozen=True, tag="end"):
    """The CLI ends."""

    code: int = 0
    signal: str = ""
    """The name of the signal that it dies by; empty if it exits."""


#: One thing that the scripted CLI does.
Act = Print | Pause | Prompt | Read | Write | Remove | CloseTerminal | Ignore | Hang | End


class ManagerAnswer(Struct, frozen=True, kw_only=True):
    """What the Manager answers to one request."""

    status: int
    body: Entry | None = None
    """As the content of a file; None for no body."""
    code: str | None = None
    """The operator's code in the body, with placeholders; None for none."""
    code_null: bool = False
    """Whether the body has null in place of the code."""
    redirect: str = ""
    """Where it sends the program: a path of its own, or ``elsewhere`` for another host."""
    delay: float = 0.0
    """Seconds before it answers."""
    fails: Literal["", "hangs", "closes"] = ""
    """How it gives no answer at all."""
    after_urls: int = 0
    """It counts only when so many login URLs have been handed over; until then there is no code."""


class Login(Struct, frozen=True, kw_only=True):
    """What happens while somebody is to log in, and what the program has to make of it."""

    acts: tuple[Act, ...]
    """What the CLI does, one after the other."""
    manager: dict[RequestName, tuple[ManagerAnswer, ...]] = field(default_factory=dict)
    """The answers to each kind of request, in order; the last one counts for all that follow."""
    refuses: bool = False
    """Whether nobody listens where the Manager should be."""
    urls: tuple[str, ...] = ()
    """The login URLs that have to be handed over, in order."""
    user_code: str = ""
    """The code that the CLI shows beside the URL; empty for none."""
    typed: tuple[str, ...] = ()
    """The lines that the CLI may read, in order, with placeholders."""

    @property
    def code(self) -> int:
        """The exit code of a CLI that fails by itself; 0 where it does not."""
        last = self.acts[-1] if self.acts else None
        return last.code if isinstance(last, End) and not last.signal else 0

    @property
    def waits(self) -> bool:
        """Whether a right program waits: for the CLI, for the Manager, or for its time to end."""
        ends = isinstance(self.acts[-1], Hang)
        pauses = any(isinstance(act, Pause) for act in self.acts)
        last = self.manager["code"][-1]
        never = self.refuses or bool(last.fails) or last.code is None
        slow = any(answer.delay for answers in self.manager.values() for answer in answers)
        return ends or pauses or never or slow

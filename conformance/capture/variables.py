"""Variables of the environment: those that an agent or a contract knows, without what they say."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping

from conformance.capture.disguise import Disguise
from conformance.capture.known import Known
from conformance.capture.links import OUTSIDE
from conformance.capture.names import Names
from conformance.capture.scan import Withheld
from conformance.home.links import UNEXPANDED, below, expanded
from conformance.judge.leaks import LEAST
from conformance.model.contract import ROLES, Contract, Role

__all__ = ["Variables"]

#: What a scenario says in other ways, or the suite itself sets.
_OWN = {"HOME", "PATH", "LANG", "TZ"}
#: Roles of inputs that a scenario sets in other ways.
_OWN_ROLES = {"home"}
_PATHS = re.compile(r".*(_DIR|_HOME|_PATH|_FILE)")
_FLAGS = {"", "0", "1", "true", "false", "yes", "no", "on", "off"}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Variables:
    """What becomes of variables."""

    def __init__(self, known: Known, names: Names, disguise: Disguise, home: str) -> None:
        """*home* is the path that names the HOME, or empty."""
        self._known = known
        self._names = names
        self._disguise = disguise
        self._home = os.fsencode(home)
        self.env: dict[str, str] = {}
        self.inputs: dict[Role, str] = {}
        self.named: list[bytes] = []
        """Places below the HOME that variables name."""
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        """Where the copy may answer otherwise, and why."""

    def take(self, env: Mapping[str, str], contract: Contract | None, withheld: Withheld) -> None:
        """Take the variables in *env*; those that carry inputs of the *contract* become these."""
        roles = {} if contract is None else {contract.inputs.variable(role): role for role in ROLES}
        for name, value in env.items():
            role = roles.get(name) if name else None
            if role is None and (name in _OWN or name not in self._known.variables):
                withheld.add("a variable", os.fsencode(name))
                withheld.add("a variable", os.fsencode(value))
                self.counts["variables that nothing looks at, left out"] += name not in _OWN
                continue
            if role == "home" and os.fsencode(value).rstrip(b"/") != self._home.rstrip(b"/"):
                self.notes.append(
                    f"{name} names another place than this home: the copy has its own"
                )
            if role == "agent" and contract is not None and value in contract.agents:
                self.inputs[role] = value
                continue
            withheld.add(f"the variable {name}", os.fsencode(value))
            made = self._value(name, value, is_path=role == "override")
            if role == "switch" and contract is not None:
                ways = {contract.inputs.value("switch", way): way for way in ("on", "off")}
                # What is neither cannot be said by the role.
                role, made = ("switch", ways[value]) if value in ways else (None, made)
            if role is None:
                self.env[name] = made
            elif role not in _OWN_ROLES:
                self.inputs[role] = made

    def _value(self, name: str, value: str, *, is_path: bool) -> str:
        is_secret = self._known.is_secret(name)
        if (name, value) in self._known.values or value.strip().lower() in _FLAGS:
            return value
        if _NUMBER.fullmatch(value) and len(value) < LEAST and not is_secret:
            return value
        looks_so = not is_secret and ("/" in value or value in UNEXPANDED)
        if is_path or looks_so or _PATHS.fullmatch(name):
            return self._path(value)
        return self._disguise.text(value, name)

    def _path(self, value: str) -> str:
        bare = value.strip(" ")
        at = value.index(bare) if bare else 0
        before, after = value[:at], value[at + len(bare) :]
        inside = None
        if bare.startswith("/"):
            inside = below(os.fsencode(bare), self._home)
            if inside is None:
                return f"{before}/{OUTSIDE}{after}"
            self.named.append(inside)
            made = "{home}" + (f"/{self._names.path(inside)}" if inside else "")
        else:
            place = expanded(bare)
            if place not in ("", "."):  # at the top of the HOME only what is known is captured
                self.named.append(os.fsencode(place))
            parts = bare.split("/")
            made = "/".join(
                part if part in UNEXPANDED else self._names.part(os.fsencode(part))
                for part in parts
            )
        return before + made + after

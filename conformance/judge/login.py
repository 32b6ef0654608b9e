"""Judge a login: what the Manager was asked, what was typed, and what the CLI was started with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from conformance.judge.leaks import LEAST, leaks
from conformance.model.contract import Contract, Requests
from conformance.model.login import Login, Write
from conformance.model.login_routes import expected_path, route_of
from conformance.model.login_seen import LoginSeen, RequestSeen
from conformance.model.outcome import Execution, Finding
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario
from conformance.model.yes import verdicts_of_yes
from conformance.text import one_line, shortened

__all__ = ["event_lines", "login_findings"]

#: Characters of a text that a finding shows.
_SHOWN = 120
#: Secrets that the Manager has given out itself.
_MANAGERS_OWN = ("{secret:init-token", "{secret:operator-code")


def login_findings(
    scenario: Scenario, contract: Contract, execution: Execution, secrets: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what is wrong with a login beside the program's exit code, each kind once."""
    seen, login, requests = execution.login, scenario.login, contract.requests
    if seen is None or login is None or requests is None:
        return
    judge = _LoginJudge(scenario, contract, execution, secrets, seen, login, requests)
    for wrong in (judge.wrong_requests(), judge.wrong_input(), judge.leaked(), judge.left_out()):
        found: set[str] = set()
        for finding in wrong:
            if finding.kind not in found:
                found.add(finding.kind)
                yield finding


class _LoginJudge:
    """What is known of one login."""

    def __init__(
        self,
        scenario: Scenario,
        contract: Contract,
        execution: Execution,
        secrets: Mapping[str, str],
        seen: LoginSeen,
        login: Login,
        requests: Requests,
    ) -> None:
        self._scenario = scenario
        self._contract = contract
        self._execution = execution
        self._secrets = secrets
        self._seen = seen
        self._login = login
        self._requests = requests
        named = [(self._name(one), one) for one in seen.requests if not one.elsewhere]
        self._named = named

    def _name(self, one: RequestSeen) -> str:
        seen = self._seen
        return route_of(self._requests, one.method, one.path, seen.base, seen.slot)

    def _all(self, name: str) -> list[RequestSeen]:
        return [one for found, one in self._named if found == name]

    def wrong_requests(self) -> Iterator[Finding]:
        """Yield what is wrong with the requests, the first thing first."""
        for name, one in self._named:
            for message in (self._unknown(name, one), self._token(one)):
                if message:
                    yield self._wrong(message)
        for message in (self._urls(), self._order(), self._completion()):
            if message:
                yield self._wrong(message)

    def _wrong(self, message: str) -> Finding:
        return Finding(kind="wrong-request", message=masked(message, self._secrets))

    def _unknown(self, name: str, one: RequestSeen) -> str:
        if name:
            return ""
        seen = self._seen
        known = [
            f"{route.method} {expected_path(route.path, seen.base, seen.slot)}"
            for route in self._requests.routes().values()
        ]
        return f"'{_line(one)}' is none of {', '.join(known)}"

    def _token(self, one: RequestSeen) -> str:
        if one.token == self._seen.token or one.status == 400:
            return ""
        header = self._requests.token_header
        what = "without the header" if one.token is None else "with another token in the header"
        return f"'{_line(one)}' came {what} {header}"

    def _urls(self) -> str:
        member = self._requests.url.members["url"]
        got: list[str] = []
        for one in self._all("url"):
            document = _document(one.body)
            url = document.get(member) if isinstance(document, dict) else None
            if not isinstance(url, str):
                return f"'{_line(one)}' has no '{member}' as a text in a JSON object"
            if got[-1:] != [url]:  # what failed may be tried again
                got.append(url)
            if message := self._user_code(document):
                return message
        for number, (url, wanted) in enumerate(zip(got, self._login.urls, strict=False), 1):
            if url != wanted:
                which = f"login URL {number}" if len(self._login.urls) > 1 else "the login URL"
                return f"{which}: expected {_short(wanted)}, got {_short(url)}{_cut(url, wanted)}"
        if len(got) > len(self._login.urls):
            further = got[len(self._login.urls)]
            if not self._login.urls:
                return f"a URL was handed over, where there is no login: {_short(further)}"
            return f"a URL that is no login URL was handed over as well: {_short(further)}"
        if len(got) < len(self._login.urls) and not self._may_give_up():
            return f"this login URL was never handed over: {_short(self._login.urls[len(got)])}"
        return ""

    def _may_give_up(self) -> bool:
        """Return whether the program may say that there is no login, and does."""
        expected, means_login = {*self._scenario.expected(self._contract)}, self._logged_in
        is_open = bool(expected & means_login) and bool(expected - means_login)
        return is_open and self._execution.outcome.code not in self._contract.codes(means_login)

    @property
    def _logged_in(self) -> frozenset[str]:
        """The verdicts that mean a login."""
        return verdicts_of_yes(self._contract)

    def _user_code(self, document: dict[str, Any]) -> str:
        member = self._requests.url.members.get("user_code", "")
        got = document.get(member) if member else None
        if got is None or got == "" or got == self._login.user_code:
            return ""
        wanted = self._login.user_code or "none, because the CLI shows none"
        return f"'{member}': expected {wanted}, got {_short(str(got))}"

    def _order(self) -> str:
        # A login may need no code, so nothing is said of the news of it.
        names = [name for name, _ in self._named]
        if "code" in names and "url" not in names[: names.index("code")]:
            return "the code was asked for before a login URL had been handed over"
        return ""

    def _completion(self) -> str:
        """Return what is wrong with the news of a login, or with the want of it."""
        expected = {*self._scenario.expected(self._contract)}
        said = self._execution.outcome.code in self._contract.codes(self._logged_in)
        logged_in = said
        if expected.isdisjoint(self._logged_in):
            logged_in = False
        elif expected <= self._logged_in:
            logged_in = True
        found = self._all("complete")
        if not logged_in and found:
            return f"'{_line(found[0])}' says that somebody has logged in, and nobody has"
        if logged_in and not found and said:
            return "the Manager never heard that somebody has logged in ('complete')"
        return self._incomplete(found[-1]) if found else ""

    def _incomplete(self, one: RequestSeen) -> str:
        members, document = self._requests.complete.members, _document(one.body)
        if not isinstance(document, dict):
            return f"'{_line(one)}' has no JSON object as its body" if members else ""
        for role, member in members.items():
            value = document.get(member)
            if value in (None, "", [], {}):
                return f"'{_line(one)}' has no '{member}'"
            if role == "agent" and value != self._scenario.agent:
                return f"'{member}': expected {self._scenario.agent}, got {_short(str(value))}"
            if role == "artifacts" and not self._names_artifact(value):
                return f"'{member}' names nothing that the CLI has written: {_short(str(value))}"
        return ""

    def _names_artifact(self, value: object) -> bool:
        """Return whether *value* names one of the files that the CLI has written."""
        top = f".{self._scenario.agent}/"
        texts = list(_texts(value))
        written = [
            entry.path
            for act in self._login.acts
            if isinstance(act, Write)
            for entry in act.entries
            if entry.kind == "file" and entry.path.startswith(top)
        ]
        # What an image brings is no login.
        brought = self._contract.entrypoint_writes
        artifacts = [path.removeprefix(top) for path in written if path not in brought]
        return not artifacts or any(text.endswith(path) for text in texts for path in artifacts)

    def wrong_input(self) -> Iterator[Finding]:
        """Yield what is wrong with what the CLI has read."""
        typed = [line for one in self._seen.cli for line in one.read]
        wanted = [_expanded(text, self._secrets) for text in self._login.typed]
        for number, line in enumerate(typed):
            conforms = wanted[number] if number < len(wanted) else None
            if line == conforms:
                continue
            expected = f"expected {conforms}" if conforms is not None else "expected nothing more"
            message = f"typed into the CLI: {expected}, got {_short(line) or 'an empty line'}"
            yield Finding(kind="wrong-input", message=masked(message, self._secrets))

    def leaked(self) -> Iterator[Finding]:
        """Yield where the init token, or a credential, has gone and may not."""
        for one in self._seen.requests:
            if one.elsewhere and one.holds_token:
                message = f"the init token went along to another host: '{_line(one)}'"
                yield Finding(kind="leaked-token", message=masked(message, self._secrets))
        own = {name: v for name, v in self._secrets.items() if not name.startswith(_MANAGERS_OWN)}
        for one in self._seen.requests:
            where = f"a request, '{one.method} {one.path}'"
            for leak in leaks(one.path.encode("utf-8", "replace") + b"\n" + one.body, own):
                message = masked(leak.describe(where), self._secrets)
                yield Finding(kind="leaked-secret", message=message)

    def left_out(self) -> Iterator[Finding]:
        """Yield what the CLI was not given, or should not be, and what of it is not passed on."""
        starts = self._seen.cli
        if starts and not any(one.terminal for one in starts):
            message = "the CLI was started without a terminal: it can let nobody log in"
            yield Finding(kind="no-terminal", message=message)
        if any(one.token for one in starts):
            message = "the CLI was started with the init token in its environment or arguments"
            yield Finding(kind="inherited-token", message=message)
        code, own = self._execution.outcome.code, self._login.code
        meanings = self._contract.verdicts_of(own) if own else ()
        expected = self._scenario.expected(self._contract)
        passed_on = any(self._contract.verdict(name).cli_code for name in meanings)
        if passed_on and {*expected} <= {*meanings} and code is not None and code != own:
            message = f"the CLI ended with exit code {own}, and the program with {code}"
            yield Finding(kind="lost-code", message=message)


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """Return *text* with the names of *secrets* in place of what they are."""
    for name, value in secrets.items():
        if len(value) >= LEAST:
            text = text.replace(value, name)
    return text


def _expanded(text: str, secrets: Mapping[str, str]) -> str:
    """Return *text* with the values of *secrets* in place of their names."""
    for name, value in secrets.items():
        text = text.replace(name, value)
    return expand(text, Context(now=0, seed="")) if "{" in text else text


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in a JSON *value*, the names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _line(one: RequestSeen) -> str:
    return one_line(f"{one.method} {one.path}")


def _short(text: str) -> str:
    return shortened(one_line(text), _SHOWN)


def _cut(url: str, wanted: str) -> str:
    """Return in which way a *url* that is not the *wanted* one resembles it."""
    if wanted.startswith(url):
        return f": only the first {len(url)} of its {len(wanted)} characters"
    if url.startswith(wanted):
        return f": {url[len(wanted) :]!a} follows that does not belong to it"
    return ""


def event_lines(seen: LoginSeen | None, secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return what happened in a login, one line each; secrets by their names."""
    if seen is None:
        return ()
    lines = []
    for _, group in groupby(
        seen.requests, lambda one: (one.method, one.path, one.body, one.status)
    ):
        alike: Sequence[RequestSeen] = list(group)
        first = alike[0]
        times = f", {len(alike)} times" if len(alike) > 1 else ""
        body = first.body.decode("utf-8", "backslashreplace")
        where = " at another host" if first.elsewhere else ""
        answer = f"answered with {first.status}" if first.status else "not answered"
        said = f" {shortened(body, 2 * _SHOWN)}" if body else ""
        lines.append(f"{first.at:.2f} s: {_line(first)}{where}{said}, {answer}{times}")
    for one in seen.cli:
        how = "" if one.terminal else " without a terminal"
        lines.append(f"the CLI was started{how} with {one.arguments or 'no arguments'}")
        lines += [f"the CLI read {line!r}" for line in one.read]
    return tuple(shortened(one_line(masked(line, secrets)), 4 * _SHOWN) for line in lines)

"""Homes with a canary in every place that a home has for one, and a search for them that knows nothing of how capture works."""

from __future__ import annotations

import base64
import json
import random
import re
import string
from collections.abc import Iterator

from msgspec.structs import replace

from conformance.home.seen import SeenHome, SeenNode

LEAST = 8
_ALPHABETS = (
    string.ascii_letters + string.digits,
    string.ascii_lowercase,
    string.digits[1:],
    string.ascii_letters + "-_",
    "äöüßéèÄÖÜ" + string.ascii_letters,
)
MEMBERS = (
    *("accessToken", "refreshToken", "expiresAt", "scopes", "subscriptionType", "OPENAI_API_KEY"),
    *(
        "id_token",
        "access_token",
        "refresh_token",
        "account_id",
        "last_refresh",
        "auth_mode",
        "env",
    ),
)
FILES = (
    *(b".claude/.credentials.json", b".codex/auth.json", b".codex/config.toml", b".claude.json"),
    *(b".claude/settings.json", b".claude/credentials.json", b".claude/.credentials/session.json"),
)


class Canaries:
    """Makes canaries, and remembers them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.made: list[str] = []

    def one(self) -> str:
        alphabet = self.random.choice(_ALPHABETS)
        start = self.random.choice(["", "", "sk-ant-oat01-", "sk-proj-", "rt_", "eyJ", "ghp_"])
        text = "".join(self.random.choices(alphabet, k=self.random.choice([8, 12, 24, 95])))
        self.made.append(text)
        return start + text

    def member(self) -> str:
        return self.random.choice([*MEMBERS, self.one()])

    def text(self) -> str:
        """Return a text with a canary in one of the ways in which a file may hold it."""
        canary, pick = self.one(), self.random.randrange(9)
        encoded = base64.b64encode(canary.encode()).decode()
        forms = (
            canary,
            encoded,
            encoded.translate(str.maketrans("+/", "-_")).rstrip("="),
            canary.encode().hex(),
            canary[::-1],
            "\n".join(canary[at : at + 5] for at in range(0, len(canary), 5)),
            f"someone at {canary}.example <{canary}@example.com>",
            json.dumps({"inner": canary}),
            f"{self._coded({'alg': canary})}.{self._coded({'exp': 1, 'email': canary, canary: 1})}.{canary}",
        )
        return forms[pick]

    @staticmethod
    def _coded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    def value(self, depth: int = 3) -> object:
        pick = self.random.randrange(8)
        if depth and pick < 3:
            return {
                self.member(): self.value(depth - 1) for _ in range(self.random.randrange(1, 5))
            }
        if depth and pick == 3:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        if pick == 4:
            digits = "".join(self.random.choices("123456789", k=self.random.choice([10, 13, 20])))
            self.made.append(digits)
            return int(digits)
        return self.random.choice([None, True, "", " "]) if pick == 5 else self.text()

    def content(self, path: bytes) -> bytes:
        """Return what a file holds: JSON or TOML, whole or broken, in one of many encodings."""
        value = {self.member(): self.value() for _ in range(3)}
        if path.endswith(b".toml"):
            lines = [f"{key} = {json.dumps(self.text())} # {self.one()}" for key in MEMBERS[:3]]
            text = "\n".join([*lines, f"[{self.one()}]", f"'{self.one()}' = {self.one()}"])
        else:
            text = json.dumps(
                value, indent=self.random.choice([None, 2]), ensure_ascii=self.random.random() < 0.5
            )
        pick = self.random.randrange(8)
        if pick == 0:
            text = text[: self.random.randrange(len(text))]
        elif pick == 1:
            text = text.replace('"', "'")
        elif pick == 2:
            at = self.random.randrange(len(text))
            text = f"{text[:at]}{self.one()}{text[at:]} // {self.one()}"
        elif pick == 3:
            text = text.replace(",", ",,").replace("}", ",}")
        elif pick == 4:
            text = self.one()
        encoding = self.random.choice(
            ["utf-8"] * 5 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"]
        )
        data = text.encode(encoding)
        return data + bytes([0xE9, 0xFF]) if self.random.random() < 0.1 else data

    def name(self) -> bytes:
        ending = self.random.choice(["", ".json", ".jsonl", "~"])
        return self.random.choice(["", ".", "-"]).encode() + self.one().encode() + ending.encode()

    def target(self) -> bytes:
        start = self.random.choice([b"", b"../", b"/home/me/", b"/", b"/mnt/secrets/"])
        return start + self.name() + self.random.choice([b"", b"/" + self.name()])

    def home(self) -> SeenHome:
        """Return a home with canaries."""
        nodes = {b"": self.node(b"", "directory")}
        for directory in (b".claude", b".codex", b".claude/.credentials", b".claude/projects"):
            nodes[directory] = self.node(directory, "directory")
        for path in FILES:
            if self.random.random() < 0.5:
                nodes[path] = self.node(path, "file", content=self.content(path))
        for _ in range(self.random.randrange(14)):
            above = self.random.choice([p for p, node in nodes.items() if node.kind == "directory"])
            path = (above + b"/" + self.name()).lstrip(b"/")
            kind = self.random.choice(
                ["file", "file", "directory", "symlink", "fifo", "socket", "device"]
            )
            nodes[path] = self.node(path, kind)
        order = sorted(nodes, key=lambda path: path.split(b"/"))
        return SeenHome(nodes={path: nodes[path] for path in order}, read_at=1_790_000_000.0)

    def planted(self, home: SeenHome) -> SeenHome:
        """Return *home* with canaries in all that it has: in what files hold, in targets, and in names beside the known ones."""
        nodes = {}
        for path, node in home.nodes.items():
            nodes[path] = node
            if node.content is not None:
                held = self.among(node.content)
                nodes[path] = replace(node, content=held, size=len(held))
            elif node.kind == "symlink" and self.random.random() < 0.5:
                nodes[path] = replace(node, target=self.target())
        directories = [path for path, node in nodes.items() if node.kind == "directory"][:40]
        for above in directories:
            path = (above + b"/" + self.name()).lstrip(b"/")
            kind = self.random.choice(["file", "file", "directory", "symlink", "fifo", "socket"])
            content = self.content(path) if self.random.random() < 0.2 else None
            nodes[path] = self.node(path, kind, content if kind == "file" else None)
        order = sorted(nodes, key=lambda path: path.split(b"/"))
        return SeenHome(nodes={path: nodes[path] for path in order}, read_at=home.read_at)

    def among(self, data: bytes) -> bytes:
        """Return *data* with canaries among what it says: in its JSON, if it is some, else anywhere in it."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict | list):
            data = json.dumps(self.within(value)).encode("utf-8", "surrogatepass")
        if isinstance(value, dict | list) and self.random.random() < 0.8:
            return data
        at = self.random.randrange(len(data) + 1)
        return data[:at] + self.text().encode() + data[at:]

    def within(self, value: object) -> object:
        """Return a JSON *value* with further members and items, and other texts in the place of half of its own."""
        if isinstance(value, dict):
            found = {name: self.within(inner) for name, inner in value.items()}
            return found | {self.one(): self.text(), self.member(): self.value(1)}
        if isinstance(value, list):
            return [*map(self.within, value), self.text()]
        if isinstance(value, str) and self.random.random() < 0.5:
            return self.random.choice([value + self.one(), self.text()])
        return value

    def node(self, path: bytes, kind: str, content: bytes | None = None) -> SeenNode:
        uid = self.random.choice([1000, 1000, 1000, 0, 4711])
        return SeenNode(
            path=path,
            kind=kind,  # type: ignore[arg-type]
            mode=self.random.choice([0o600, 0o700, 0o000, 0o644]) if path else 0o700,
            uid=uid if path else 1000,
            gid=1000,
            mtime=1_790_000_000.0 - self.random.randrange(10**7),
            target=self.target() if kind == "symlink" else b"",
            size=len(content) if content is not None else self.random.randrange(10_000),
            content=content,
        )

    def env(self) -> dict[str, str]:
        return {
            "CLAUDE_CONFIG_DIR": self.random.choice([f"/home/me/{self.one()}", f"~/{self.one()}"]),
            "CLAUDE_CODE_OAUTH_TOKEN": self.text(),
            "CODEX_HOME": self.text(),
            f"X_{self.one()}": self.text(),
            "ORCH_AUTH_EXPIRY_SKEW_SECONDS": self.one(),
        }


def shown(canaries: list[str], output: str) -> Iterator[str]:
    """Yield the canaries of which *output* holds eight characters in a row, in any encoding."""
    joined = b"\1".join(_readings(output.encode("utf-8", "surrogateescape")))
    windows = {joined[at : at + LEAST] for at in range(len(joined))}
    for canary in canaries:
        forms = (
            form
            for at in range(len(canary) - LEAST + 1)
            for form in _written(canary[at : at + LEAST])
        )
        if any(form[:LEAST] in windows and form in joined for form in forms):
            yield canary


def _readings(output: bytes) -> list[bytes]:
    """Return *output*, and what stands in it as hexadecimal digits or base64, without line breaks."""
    found = [output, re.sub(rb"\s+|\\n|\\\n", b"", output)]
    for reading in list(found):
        digits = re.findall(rb"(?:[0-9a-fA-F]{2}){8,}", reading)
        found += [bytes.fromhex(each.decode()) for each in digits]
        for coded in re.findall(rb"[\w+/-]{11,}", reading):
            plain = coded.replace(b"-", b"+").replace(b"_", b"/")
            rest = [plain[offset:] for offset in range(4)]
            found += [base64.b64decode(each[: len(each) // 4 * 4]) for each in rest]
    # What came from UTF-16 and UTF-32 has NULs between its characters.
    return [form for reading in found for form in (reading, reading.replace(b"\0", b""))]


def _written(part: str) -> set[bytes]:
    escaped = json.dumps(part)[1:-1]
    return {form.encode() for form in (part, part[::-1], escaped)}

"""Scenario files with one thing wrong each: one line that names it, and nothing left behind."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from factories import LAYERS
from support_bad_files import (
    FIELDS,
    GOOD,
    TOP,
    Bad,
    bad,
    entry_refusal,
    load_entries,
    with_file,
    write,
)
from support_cli import call, suite

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import load_catalogue
from conformance.errors import ManyErrors

VERDICTS = "allowed: ready, cli-broken, creds-missing, creds-invalid"


LEAVES = "leaves the home"


def top(line: str) -> str:
    """Return a good file with one more key at its top."""
    return f"{line}\n{GOOD}"


def container(line: str) -> str:
    """Return a good file with this line in its table of what it asks of a container."""
    return f"{GOOD}[container]\n{line}\n"


def instead(old: str, new: str) -> str:
    """Return a good file with *new* in place of *old*."""
    assert old in GOOD
    return GOOD.replace(old, new)


def at(key: str, table: str, *words: str) -> Bad:
    """Return a file that is bad because of the entry *key* of its home."""
    return bad(with_file(f"{json.dumps(key)} = {table}"), f"home.files.{key}", *words)


BAD = {
    # not a scenario file at all
    "empty": bad("", "summary", "missing"),
    "not-toml": bad("summary = \n", "", "is not TOML", "line 1"),
    "not-closed": bad(GOOD + '[env.set]\nA = "x\n', "", "is not TOML", "line 8"),
    "json-text": bad('{"summary": "x"}', "", "is not TOML"),
    "duplicate-key": bad(GOOD + 'slot = "ready"\n', "", "is not TOML", "overwrite"),
    "invalid-date": bad(with_file("a = { json = 2026-02-30 }"), "", "is not TOML"),
    "not-utf8": bad(
        GOOD.encode() + b'# caf\xe9 "', "", "is not UTF-8", f"byte {len(GOOD) + 5}", "hex or base64"
    ),
    "utf16": bad(GOOD.encode("utf-16"), "", "is not UTF-8 (byte 0)"),
    "byte-order-mark": bad(GOOD.encode("utf-8-sig"), "", "is not TOML"),
    "nul-bytes": bad(b"\0" * 100, "", "is not TOML"),
    "ten-megabytes": bad(
        GOOD.encode() + b"#" * 10_000_000, "", "is larger than 1048576 bytes", "size, runs or count"
    ),
    "deep-arrays": bad(
        with_file(f"a = {{ json = {'[' * 5_000}{']' * 5_000} }}"),
        "",
        "is not TOML: nested too deeply",
    ),
    "long-number": bad(
        with_file(f"a = {{ json = {'9' * 5_000} }}"), "", "is not TOML: a number is too long"
    ),
    # keys
    "unknown-key": bad(
        top('colour = "red"'),
        "colour",
        "unknown key",
        "allowed here: summary, origin, agent, control, expect",
    ),
    "unknown-key-in-home": bad(
        GOOD + "[home]\nfile = {}\n", "home.file", "unknown key; allowed here: include, files"
    ),
    "unknown-key-in-cli": bad(
        GOOD + '[cli]\nstatus = "hangs"\n', "cli.status", "unknown key; allowed here: state"
    ),
    "unknown-key-in-env": bad(
        GOOD + '[env]\nHOME = "x"\n', "env.HOME", "unknown key; allowed here: set, unset"
    ),
    "unknown-key-in-entry": at(
        "a/b.json", '{ txt = "x" }', f"a/b.json.txt: unknown key; allowed here: {FIELDS}"
    ),
    "misleading-key": bad(
        GOOD + '[cli]\n" - at `$.x`" = 3\n', "cli. - at `$.x`", "unknown key; allowed here: state"
    ),
    "key-with-a-line-break": bad(
        GOOD + '"a\\nb" = 3\n', "expect.a b", "expected string | list, got int"
    ),
    "key-for-a-terminal": bad(top('"\\u001b[31m" = 3'), r"\x1b[31m", "unknown key"),
    "no-summary": bad(instead(TOP.splitlines()[0], ""), "summary", "missing"),
    "no-origin": bad(instead('origin = "contract slot"', ""), "origin", "missing"),
    "no-agent": bad(instead('agent = "claude"\n', ""), "agent", "missing"),
    "no-control": bad(instead('control = "claude/baseline-only"\n', ""), "control", "missing"),
    "no-expect": bad(TOP, "expect", "missing"),
    # types
    "summary-int": bad(
        instead(TOP.splitlines()[0], "summary = 3"), "summary", "expected string, got int"
    ),
    "summary-empty": bad(
        instead("A login kept anywhere counts", ""), "summary", "expected string of length >= 1"
    ),
    "summary-blank": bad(
        instead("A login kept anywhere counts", " \\n"), "summary", "expected string matching regex"
    ),
    "origin-blank": bad(
        instead('"contract slot"', '"  "'), "origin", "expected string matching regex"
    ),
    "origin-list": bad(
        instead('"contract slot"', '["x"]'), "origin", "expected string, got a list"
    ),
    "agent-empty": bad(
        instead('agent = "claude"', 'agent = ""'), "agent", "expected string of length >= 1"
    ),
    "control-list": bad(
        instead('"claude/baseline-only"', '["x"]'), "control", "expected string | table, got a list"
    ),
    "control-empty": bad(
        instead('"claude/baseline-only"', '""'), "control", "expected string of length >= 1"
    ),
    "control-table-int": bad(
        instead('"claude/baseline-only"', "{ slot = 1 }"),
        "control.slot",
        "expected string, got int",
    ),
    "home-text": bad(top('home = "x"'), "home", "expected a table, got string"),
    "include-text": bad(
        GOOD + '[home]\ninclude = "claude-baseline"\n',
        "home.include",
        "expected a list, got string",
    ),
    "include-int": bad(
        GOOD + '[home]\ninclude = ["claude-baseline", 1]\n',
        "home.include.1",
        "expected string, got int",
    ),
    "files-list": bad(GOOD + "[home]\nfiles = []\n", "home.files", "expected a table, got a list"),
    "file-int": at("a", "3", "expected string | table, got int"),
    "file-int-among-others": bad(
        with_file('x = ""\n"b.c" = 3\ny = ""'), "home.files.b.c", "expected string | table, got int"
    ),
    "text-list": at("a", '{ text = ["x"] }', "a.text: expected string, got a list"),
    "mode-int": at("a", '{ text = "", mode = 384 }', "a.mode: expected string, got int"),
    "count-text": at("a{n}", '{ text = "", count = "3" }', "a{n}.count: expected int, got string"),
    "size-bool": at("a", "{ size = true }", "a.size: expected int | string, got bool"),
    "size-float": at("a", "{ size = 1.5 }", "a.size: expected int | string, got float"),
    "cli-text": bad(top('cli = "hangs"'), "cli", "expected a table, got string"),
    "cli-unknown-state": bad(
        GOOD + '[cli]\nstate = "hang"\n', "cli.state", "unknown value 'hang'; allowed: alone, "
    ),
    "env-set-int": bad(GOOD + "[env.set]\nA = 1\n", "env.set.A", "expected string, got int"),
    "env-unset-text": bad(
        GOOD + '[env]\nunset = "A"\n', "env.unset", "expected a list, got string"
    ),
    # what is asked of a container
    "container-text": bad(top('container = "10001"'), "container", "expected a table, got string"),
    "container-unknown-key": bad(
        container('"home-owner" = 0'),
        "container.home-owner",
        "unknown key; allowed here: user, home_owner, home_read_only",
    ),
    "container-empty": bad(
        container(""),
        "container",
        "asks for nothing; give one of user, home_owner, home_read_only, or leave",
    ),
    "container-of-nothing": bad(
        container("home_read_only = false"), "container", "asks for nothing"
    ),
    "user-int": bad(container("user = 10001"), "container.user", "expected string, got int"),
    "user-empty": bad(
        container('user = ""'),
        "container.user",
        "'' is not a numeric user; write it as '10001' or '10001:0'",
    ),
    "user-by-name": bad(
        container('user = "agent"'),
        "container.user",
        "'agent' is not a numeric user",
        "up to 2147483647",
    ),
    "user-without-group": bad(
        container('user = "10001:"'), "container.user", "'10001:' is not a numeric user"
    ),
    "user-without-uid": bad(
        container('user = ":0"'), "container.user", "':0' is not a numeric user"
    ),
    "user-of-three": bad(
        container('user = "1:2:3"'), "container.user", "'1:2:3' is not a numeric user"
    ),
    "user-negative": bad(container('user = "-1"'), "container.user", "'-1' is not a numeric user"),
    "user-octal": bad(
        container('user = "010001"'), "container.user", "'010001' is not a numeric user"
    ),
    "user-beyond-engines": bad(
        container('user = "2147483648"'), "container.user", "'2147483648' is not a numeric user"
    ),
    "group-beyond-engines": bad(
        container('user = "0:4294967295"'), "container.user", "'0:4294967295' is not a numeric user"
    ),
    "user-and-line-break": bad(
        container('user = "0\\n"'), "container.user", "is not a numeric user"
    ),
    "user-in-other-digits": bad(
        container('user = "\u0663"'), "container.user", "is not a numeric user"
    ),
    "home-owner-text": bad(
        container('home_owner = "0"'), "container.home_owner", "expected int, got string"
    ),
    "home-owner-negative": bad(
        container("home_owner = -1"), "container.home_owner", "expected int >= 0"
    ),
    "home-owner-nobody": bad(
        container("home_owner = 4294967295"), "container.home_owner", "expected int <= 4294967294"
    ),
    "home-read-only-text": bad(
        container('home_read_only = "yes"'), "container.home_read_only", "expected bool, got string"
    ),
    # expectations
    "expect-empty": bad(TOP + "[expect]\n", "expect", "expected a table of length >= 1"),
    "expect-int": bad(instead('"ready"', "0"), "expect.slot", "expected string | list, got int"),
    "expect-empty-list": bad(
        instead('"ready"', "[]"), "expect.slot", "expected a list of length >= 1"
    ),
    "expect-list-of-int": bad(
        instead('"ready"', '["ready", 1]'), "expect.slot.1", "expected string, got int"
    ),
    "unknown-verdict": bad(
        instead('"ready"', '"redy"'), "expect.slot", "unknown verdict 'redy'", VERDICTS
    ),
    "unknown-verdict-in-list": bad(
        instead('"ready"', '["ready", "fine"]'), "expect.slot", "unknown verdict 'fine'", VERDICTS
    ),
    "verdict-in-capitals": bad(
        instead('"ready"', '"Ready"'), "expect.slot", "unknown verdict 'Ready'", VERDICTS
    ),
    "verdict-is-a-code": bad(
        instead('"ready"', '"0"'), "expect.slot", "unknown verdict '0'", VERDICTS
    ),
    "verdict-twice": bad(
        instead('"ready"', '["ready", "ready"]'), "expect.slot", "a verdict is listed twice"
    ),
    "unknown-contract": bad(
        instead("slot =", "slots ="),
        "expect.slots",
        f"no contract 'slots'; known: {', '.join(contracts.bundled())};",
        "--contract FILE",
    ),
    "unknown-agent": bad(
        instead('"claude"', '"gemini"'),
        "agent",
        "unknown agent 'gemini'; allowed under 'slot': claude, codex",
    ),
    "agent-not-of-contract": bad(
        instead('"claude"', '"codex"').replace("slot =", "preflight ="),
        "agent",
        "unknown agent 'codex'; allowed under 'preflight': claude",
    ),
    # environment
    "env-no-name": bad(GOOD + '[env.set]\n"A B" = ""\n', "env", "'A B' is not a variable name"),
    "env-empty-name": bad(GOOD + '[env.set]\n"" = ""\n', "env", "'' is not a variable name"),
    "env-name-with-line-break": bad(
        GOOD + '[env.set]\n"A\\n" = ""\n', "env", "is not a variable name"
    ),
    "env-name-with-digit": bad(
        GOOD + '[env]\nunset = ["1A"]\n', "env", "'1A' is not a variable name"
    ),
    "env-set-and-unset": bad(
        GOOD + '[env]\nunset = ["A"]\nset = { A = "" }\n', "env", "'A' is both set and unset"
    ),
    "env-nul": bad(
        GOOD + '[env.set]\nA = "\\u0000"\n', "env.set.A", "a NUL cannot be handed to a program"
    ),
    "env-nul-byte": bad(
        GOOD + '[env.set]\nA = "{byte:00}"\n', "env.set.A", "unknown placeholder {byte:00}"
    ),
    "env-unknown-placeholder": bad(
        GOOD + '[env.set]\nA = "{cwd}"\n', "env.set.A", "unknown placeholder {cwd}; known: {now}"
    ),
    # layers
    "unknown-layer": bad(
        GOOD + '[home]\ninclude = ["claude-base"]\n',
        "home.include",
        f"no layer 'claude-base'; known: {', '.join(LAYERS)}",
    ),
    "layer-outside": bad(
        GOOD + '[home]\ninclude = ["../layers/codex-auth"]\n',
        "home.include",
        "no layer '../layers/codex-auth'",
    ),
    "layer-with-a-long-name": bad(
        GOOD + f'[home]\ninclude = ["{"x" * 300}"]\n', "home.include", "no layer 'xxx"
    ),
    # paths
    "path-up": at("../x", '""', LEAVES),
    "path-up-later": at("a/../../x", '""', LEAVES),
    "path-up-and-back": at("a/../b", '""', LEAVES),
    "path-up-at-the-end": at("a/..", '{ type = "directory" }', LEAVES),
    "path-just-up": at("..", '{ type = "directory" }', LEAVES),
    "path-absolute": at("/etc/passwd", '""', LEAVES),
    "path-two-slashes": at("//etc/passwd", '""', LEAVES),
    "path-dots-as-bytes": at("{byte:2e}{byte:2e}/x", '""', "unknown placeholder {byte:2e}"),
    "path-slash-as-byte": at("..{byte:2f}x", '""', "unknown placeholder {byte:2f}"),
    "path-nul-as-byte": at("x{byte:00}", '""', "unknown placeholder {byte:00}"),
    "path-of-home": at("{home}/x", '""', "only {byte:..} and {n} are allowed in a path"),
    "path-of-secret": at("{secret:x}", '""', "only {byte:..} and {n} are allowed in a path"),
    "path-of-time": at("{now:s}", '""', "only {byte:..} and {n} are allowed in a path"),
    "path-of-null": at("{null}", '""', "only {byte:..} and {n} are allowed in a path"),
    "path-empty": at("", '""', "is not a plain path"),
    "path-dot": at(".", '{ type = "directory" }', "is not a plain path"),
    "path-dot-inside": at("a/./b", '""', "is not a plain path"),
    "path-empty-part": at("a//b", '""', "is not a plain path"),
    "path-slash-at-the-end": at("a/", '{ type = "directory" }', "is not a plain path"),
    "path-unknown-placeholder": at("{user}", '""', "unknown placeholder {user}"),
    "path-below-file": bad(
        with_file('a = ""\n"a/b" = ""'),
        "home.files.a/b",
        "lies below 'a', which is not a directory",
    ),
    "path-far-below-fifo": bad(
        with_file('"a/b/c" = ""\na = { type = "fifo" }'), "home.files.a/b/c", "lies below 'a'"
    ),
    "path-below-link": bad(
        with_file('a = { symlink = "b" }\n"a/c" = ""'), "home.files.a/c", "lies below 'a'"
    ),
    "path-below-file-of-layer": bad(
        GOOD + '[home]\ninclude = ["claude-baseline"]\n[home.files]\n".claude/CLAUDE.md/x" = ""\n',
        "home.files..claude/CLAUDE.md/x",
        "lies below '.claude/CLAUDE.md', which is not a directory",
    ),
    # links
    "link-up": at("a", '{ symlink = "../x" }', LEAVES),
    "link-just-up": at("a", '{ symlink = ".." }', LEAVES),
    "link-further-up-than-deep": at("a/b", '{ symlink = "../../x" }', LEAVES),
    "link-to-parent-of-home": at("a/b", '{ symlink = "../.." }', LEAVES),
    "link-absolute": at("a", '{ symlink = "/etc/passwd" }', LEAVES),
    "link-to-root": at("a", '{ symlink = "/" }', LEAVES),
    "link-two-slashes": at("a", '{ symlink = "//etc/passwd" }', LEAVES),
    "link-to-real-homes": at("a", '{ symlink = "/home/someone/.ssh" }', LEAVES),
    "link-to-home-directory": at("a", '{ symlink = "/home" }', LEAVES),
    "link-out-and-in-by-name": at("a/b", '{ symlink = "../../home/x" }', LEAVES),
    "link-out-and-in-by-placeholder": at("a", '{ symlink = "../{home}/x" }', LEAVES),
    "link-home-in-the-middle": at("a", '{ symlink = "x{home}" }', LEAVES),
    "link-beside-home": at("a", '{ symlink = "{home}2/x" }', LEAVES),
    "link-up-from-home": at("a/b", '{ symlink = "{home}/../x" }', LEAVES),
    "link-down-and-up": at("a", '{ symlink = "b/../../x" }', LEAVES),
    "link-up-from-another-link": at("a", '{ symlink = "b/.." }', LEAVES),
    "link-down-and-up-in-home": at("a", '{ symlink = "{home}/b/../c" }', LEAVES),
    "link-up-with-dots-between": at("a/b", '{ symlink = ".././../x" }', LEAVES),
    "link-dots-as-bytes": at(
        "a", '{ symlink = "{byte:2e}{byte:2e}/x" }', "unknown placeholder {byte:2e}"
    ),
    "link-slash-as-byte": at("a", '{ symlink = "{byte:2f}etc" }', "unknown placeholder {byte:2f}"),
    "link-nul": at("a", '{ symlink = "x\\u0000" }', LEAVES),
    "link-empty": at("a", '{ symlink = "" }', "a.symlink: expected string of length >= 1"),
    "link-unknown-placeholder": at("a", '{ symlink = "{tmp}/x" }', "unknown placeholder {tmp}"),
    # entries
    "entry-empty": at(
        "a",
        "{}",
        "has no content; give one of text, json, patch, moved, copied, hex, base64, runs, symlink, type, size",
    ),
    "entry-only-mode": at("a", '{ mode = "0600" }', "has no content"),
    "entry-two-contents": at(
        "a", '{ text = "", json = 1 }', "text and json exclude each other; keep one"
    ),
    "entry-three-contents": at(
        "a",
        '{ hex = "", type = "fifo", symlink = "x" }',
        "hex and symlink and type exclude each other",
    ),
    "type-file": at(
        "a", '{ type = "file" }', "a.type: unknown value 'file'; allowed: directory, fifo, socket"
    ),
    "size-of-directory": at("a", '{ type = "directory", size = 1 }', "size: only a file has one"),
    "size-of-link": at("a", '{ symlink = "b", size = 1 }', "size: only a file has one"),
    "size-unit": at(
        "a", '{ size = "1 MB" }', "size: write bytes, or a text such as '20 MiB'; at most 1 GiB"
    ),
    "size-foreign-digits": at("a", '{ size = "٣" }', "size: write bytes"),
    "mode-of-link": at(
        "a",
        '{ symlink = "b", mode = "0777" }',
        "mode: write an octal text such as '0600', and none for a symlink",
    ),
    "mode-words": at("a", '{ text = "", mode = "rw-------" }', "mode: write an octal text"),
    "mode-line-break": at("a", '{ text = "", mode = "0600\\n" }', "mode: write an octal text"),
    "mtime-absolute": at(
        "a", '{ text = "", mtime = "2026-01-01" }', "mtime: write a relative time such as {now-30d}"
    ),
    "mtime-blank": at(
        "a", '{ text = "", mtime = "{now- 1d}" }', "mtime: write a relative time such as {now-30d}"
    ),
    "mtime-quote": at(
        "a",
        """{ text = "", mtime = '{now-1d"}' }""",
        "mtime: write a relative time such as {now-30d}",
    ),
    "mtime-without-sign": at(
        "a", '{ text = "", mtime = "{now1d}" }', "mtime: write a relative time such as {now-30d}"
    ),
    "mtime-seconds": at(
        "a",
        '{ text = "", mtime = "{now-30d:s}" }',
        "mtime: write a relative time such as {now-30d}",
    ),
    "count-without-n": at("a", '{ text = "", count = 2 }', "is repeated, so its path needs {n}"),
    "hex-odd": at("a", '{ hex = "abc" }', "hex: "),
    "hex-letters": at("a", '{ hex = "zz" }', "hex: "),
    "base64-padding": at("a", '{ base64 = "abc" }', "base64: incorrect padding"),
    "base64-letters": at("a", '{ base64 = "****" }', "base64: "),
    "base64-not-ascii": at("a", '{ base64 = "é" }', "base64: "),
    "runs-of-three": at(
        "a", '{ runs = [["x", 1, 2]] }', "a.runs.0: expected a list of length 2, got 3"
    ),
    "runs-of-text": at("a", '{ runs = ["xy"] }', "a.runs.0: expected a list, got string"),
    "runs-turned-round": at(
        "a", '{ runs = [["x", 1], [1, "x"]] }', "a.runs.1.0: expected string, got int"
    ),
    "runs-unknown-placeholder": at("a", '{ runs = [["{x}", 1]] }', "unknown placeholder {x}"),
    "text-unknown-placeholder": at(
        "a", '"{tomorrow}"', "unknown placeholder {tomorrow}", "write other text in braces as hex"
    ),
    "text-now-without-unit": at("a", '"{now+8}"', "unknown placeholder {now+8}"),
    "json-unknown-placeholder": at(
        "a", '{ json = { a = [{ b = "{x}" }] } }', "unknown placeholder {x}"
    ),
    "json-date": at(
        "a",
        "{ json = 2026-01-01 }",
        "json: JSON has no dates; write a relative time such as {now+8h:rfc3339}",
    ),
    "json-time-inside": at("a", "{ json = { b = [12:00:00] } }", "json: JSON has no dates"),
    "json-not-a-number": at(
        "a",
        "{ json = nan }",
        "json: JSON has no infinite numbers and no NaN; write the file as text",
    ),
    "json-infinite": at("a", "{ json = [-inf] }", "json: JSON has no infinite numbers"),
    "json-thousands-of-levels": at(
        "a",
        f"{{ json = {{ {'.'.join('b' * 3_000)} = 1 }} }}",
        "json: is nested deeper than 100 levels; write the file with runs",
    ),
}


#: Whether a control is right can only be judged once all files can be read.
BAD_CONTROL = {
    "unknown": bad(
        instead("baseline-only", "no-such-thing"), "control", "no scenario 'claude/no-such-thing'"
    ),
    "misspelt": bad(
        instead("baseline-only", "baseline-onyl"), "control", "did you mean claude/baseline-only"
    ),
    "same-verdict": bad(
        instead("baseline-only", "credentials-file"),
        "control",
        "'claude/credentials-file' does not call for another exit code; name the nearest scenario that does",
    ),
    "itself": bad(
        instead("claude/baseline-only", "bad-control/itself"),
        "control",
        "does not call for another exit code",
    ),
    "of-another-contract": bad(
        instead(
            '"claude/baseline-only"',
            '{ slot = "claude/baseline-only", preflight = "claude/no-dot-claude" }',
        ),
        "control.preflight",
        "it expects nothing under 'preflight'",
    ),
    "of-no-contract": bad(
        instead('"claude/baseline-only"', '{ slots = "claude/baseline-only" }'),
        "control.slots",
        "it expects nothing under 'slots'",
    ),
    "empty-table": bad(
        instead('"claude/baseline-only"', "{}"),
        "control",
        "no control under 'slot'; name one for each contract",
    ),
    "only-for-one": bad(
        instead('"claude/baseline-only"', '{ slot = "claude/baseline-only" }')
        + 'preflight = "ready"\n',
        "control",
        "no control under 'preflight'; name one for each contract",
    ),
    "shares-the-code": bad(
        TOP.replace("baseline-only", "no-dot-claude") + '[expect]\npreflight = "creds-invalid"\n',
        "control",
        "'claude/no-dot-claude' does not call for another exit code",
    ),
    "left-open-overlaps": bad(
        instead('"ready"', '["ready", "creds-missing"]'),
        "control",
        "'claude/baseline-only' does not call for another exit code",
    ),
    "not-part-of-it": bad(
        instead("claude/baseline-only", "preflight/override-missing"),
        "control",
        "does not call for another exit code",
    ),
}


ALL = {**BAD, **{f"control-{name}": case for name, case in BAD_CONTROL.items()}}


def check_line(line: str, file: Path, case: Bad) -> None:
    start = f"{file}: {case.key}" if case.key else f"{file}: is"
    assert line.startswith(start)
    assert [word for word in case.words if word not in line] == []
    assert line.isprintable()


def load_lines(*directories: Path) -> list[str]:
    with pytest.raises(ManyErrors) as caught:
        load_catalogue(directories)
    assert caught.value.exit_status == 2
    return caught.value.lines()


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return suite(cwd, *map(str, arguments))


def tree(*tops: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return everything below *tops*: mode, time of last change and content."""
    found = {}
    for path in (path for top in tops for path in (top, *top.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, content)
    return found


def test_there_are_at_least_forty_bad_files() -> None:
    assert len(ALL) >= 40


def test_the_file_all_bad_ones_start_from_is_good(tmp_path: Path) -> None:
    write(tmp_path, {"good": bad(GOOD, "")})
    assert load_catalogue([tmp_path]).get("bad/good").expect == {"slot": ("ready",)}


@pytest.mark.parametrize("name", ALL)
def test_a_bad_file_is_one_line(name: str, tmp_path: Path) -> None:
    """The line names the file and the key, and says what is allowed."""
    case = ALL[name]
    below, stem = (
        ("bad-control", name.removeprefix("control-"))
        if case in BAD_CONTROL.values()
        else ("bad", name)
    )
    file = write(tmp_path, {stem: case}, below)[stem]
    [line] = load_lines(tmp_path)
    check_line(line, file, case)


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("run",), ("run", "-n", "2"), ("show", "x"), ("repro", "x", "--probe", "true")],
)
@pytest.mark.parametrize(
    ("below", "cases"), [("bad", BAD), ("bad-control", BAD_CONTROL)], ids=["files", "controls"]
)
def test_the_command_line_says_one_line_for_each_bad_file(
    arguments: tuple[str, ...], below: str, cases: dict[str, Bad], tmp_path: Path, own_cache: Path
) -> None:
    """All bad files at once: exit status 2, a line for each on standard error, and nothing is written anywhere."""
    files = write(tmp_path, cases, below)
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    before = tree(tmp_path, own_cache)
    done = call(cwd, *arguments, "--scenarios", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    lines = [line.removeprefix("probe-conformance: ") for line in done.stderr.splitlines()]
    assert len(lines) == len(files)
    for (name, file), line in zip(files.items(), lines, strict=True):
        check_line(line, file, cases[name])
    assert tree(tmp_path, own_cache) == before


@pytest.mark.parametrize(
    "name",
    [
        "unknown-key",
        "path-up",
        "link-up",
        "no-control",
        "unknown-verdict",
        "summary-int",
        "not-toml",
        "not-utf8",
        "ten-megabytes",
    ],
)
@pytest.mark.parametrize("how", ["list", "run", "file"])
def test_each_kind_of_bad_file_ends_a_command_with_status_2(
    name: str, how: str, tmp_path: Path, own_cache: Path
) -> None:
    """Found below a directory, or named as a file: one line, and nothing is written."""
    file = write(tmp_path, {name: BAD[name]})[name]
    arguments: list[str | Path] = ["run", file] if how == "file" else [how, "--scenarios", tmp_path]
    before = tree(tmp_path, own_cache)
    done = call(tmp_path, *map(str, arguments))
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    check_line(line.removeprefix("probe-conformance: "), file, BAD[name])
    assert tree(tmp_path, own_cache) == before


def test_two_ids_alike_end_a_command_with_status_2(tmp_path: Path, own_cache: Path) -> None:
    for name, text in (("one", GOOD), ("two", GOOD + "# another case\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "case.toml").write_text(text)
    before = tree(tmp_path, own_cache)
    done = command(
        "run", "--scenarios", tmp_path / "one", "--scenarios", tmp_path / "two", cwd=tmp_path
    )
    expected = f"{tmp_path}/two/case.toml: its id 'case' is taken by {tmp_path}/one/case.toml; ids are unique; rename one"
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        f"probe-conformance: {expected}\n",
    )
    assert tree(tmp_path, own_cache) == before


def test_one_bad_file_does_not_hide_another(tmp_path: Path) -> None:
    files = write(tmp_path, {"a": BAD["unknown-key"], "b": bad(GOOD, ""), "c": BAD["path-up"]})
    lines = load_lines(tmp_path)
    assert [line.split(": ")[0] for line in lines] == [str(files["a"]), str(files["c"])]


def test_a_control_that_cannot_be_read_is_not_a_second_mistake(tmp_path: Path) -> None:
    files = write(
        tmp_path, {"a": bad(instead("claude/baseline-only", "bad/b"), ""), "b": BAD["unknown-key"]}
    )
    [line] = load_lines(tmp_path)
    assert line.startswith(f"{files['b']}: colour: unknown key")


@pytest.mark.parametrize(
    "name",
    [
        "Upper",
        "under_score",
        "two words",
        "-dash",
        ".hidden",
        "café",
        "a[1]",
        "a*",
        "a?",
        "a\nb",
        "\udcff",
        "x.toml",
        "",
    ],
)
def test_a_file_name_that_makes_no_id_is_refused(name: str, tmp_path: Path) -> None:
    """Also one that ends in .toml twice: on the command line its id would be taken for a file."""
    (tmp_path / f"{name}.toml").write_text(GOOD)
    [line] = load_lines(tmp_path)
    assert (
        "is not an id; use lower-case letters, digits, '-' and '.' in file and directory names"
        in line
    )
    assert line.isprintable()


def test_a_directory_name_that_makes_no_id_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"good": bad(GOOD, "")}, "My Cases")
    [line] = load_lines(tmp_path)
    assert "'My Cases/good' is not an id" in line


def test_a_file_that_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "directory.toml").mkdir()
    (tmp_path / "dangling.toml").symlink_to("nothing")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    assert load_lines(tmp_path) == [
        f"{tmp_path}/dangling.toml: cannot be read: No such file or directory",
        f"{tmp_path}/directory.toml: is not a regular file",
        f"{tmp_path}/fifo.toml: is not a regular file",
        f"{tmp_path}/loop.toml: cannot be read: Too many levels of symbolic links",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what it likes")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shut.toml").write_text(GOOD)
    (tmp_path / "shut.toml").chmod(0)
    assert load_lines(tmp_path) == [f"{tmp_path}/shut.toml: cannot be read: Permission denied"]


@pytest.mark.parametrize("name", ["nowhere", "loop", "x" * 300, "a-file"])
def test_a_scenario_directory_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a-file").write_text("")
    hint = "--scenarios takes a directory of scenario files"
    assert load_lines(tmp_path / name) == [f"{tmp_path / name}: no such directory; {hint}"]


def test_a_mistake_in_a_layer_is_one_line_however_many_scenarios_include_it(tmp_path: Path) -> None:
    uses = bad(GOOD + '[home]\ninclude = ["own"]\n', "")
    write(tmp_path, {"a": uses, "b": uses})
    (tmp_path / "layers").mkdir()
    file = tmp_path / "layers" / "own.toml"
    file.write_text('summary = "x"\n[files]\n"../x" = ""\n')
    assert load_lines(tmp_path) == [
        f"{file}: home.files.../x: leaves the home: write a path below it"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "summary: missing"),
        ('summary = "x"\n', "files: missing"),
        (
            'summary = "x"\norigin = "x"\n[files]\n',
            "origin: unknown key; allowed here: summary, include, files",
        ),
        (
            'summary = "x"\n[files]\na = { text = "", mode = "9" }\n',
            "home.files.a: mode: write an octal text",
        ),
        ("x", "is not TOML"),
    ],
)
def test_a_bad_layer_is_named(text: str, words: str, tmp_path: Path) -> None:
    write(tmp_path, {"a": bad(GOOD + '[home]\ninclude = ["own"]\n', "")})
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "own.toml").write_text(text)
    [line] = load_lines(tmp_path)
    assert line.startswith(f"{tmp_path}/layers/own.toml: {words}")


# What does not leave the home, and other things that only look wrong.


GOOD_LINKS = {
    "kubernetes": ('"..data"', "..2026_01_01_00_00_00.1234567890"),
    "through-kubernetes": ('"auth.json"', "..data/auth.json"),
    "dots": ('"a"', "..."),
    "itself": ('"a"', "a"),
    "here": ('"a"', "."),
    "dangling": ('"a"', "nothing/at/all"),
    "home": ('"a"', "{home}"),
    "home-slash": ('"a"', "{home}/"),
    "in-home": ('"a/b/c"', "{home}/x/y"),
    "up-to-home": ('"a/b/c"', "../.."),
    "up-and-down": ('"a/b/c"', "../../x/y"),
    "up-with-dots": ('"a/b/c"', "./.././..//x"),
    "not-utf8": ('"a"', "{byte:ff}{byte:2e}".replace("{byte:2e}", ".x")),
    "time": ('"a"', "..{now:s}"),
    "number": ('"a{n}"', "{n}"),
    "looks-like-up": ('"a"', "..data/..more"),
    "braces": ('"a"', "{}/{X}"),
}


@pytest.mark.parametrize("name", GOOD_LINKS)
def test_a_link_that_stays_in_the_home_is_accepted(name: str, tmp_path: Path) -> None:
    path, target = GOOD_LINKS[name]
    [made] = load_entries(tmp_path, f"{path} = {{ symlink = {json.dumps(target)} }}")
    assert (made.kind, made.target) == ("symlink", target)


def test_a_link_may_go_up_as_many_directories_as_depth_puts_above_it(tmp_path: Path) -> None:
    [made] = load_entries(tmp_path, 'a = { symlink = "../../x", depth = 2 }')
    assert (made.target, made.depth) == ("../../x", 2)
    assert entry_refusal(tmp_path, 'a = { symlink = "../../x", depth = 1 }').startswith(
        "home.files.a: symlink: the target leaves"
    )


def test_a_loop_of_links_is_accepted(tmp_path: Path) -> None:
    made = load_entries(
        tmp_path, 'a = { symlink = "b" }\nb = { symlink = "c/a" }\nc = { symlink = "." }'
    )
    assert [link.target for link in made] == ["b", "c/a", "."]


@pytest.mark.parametrize(
    "path",
    [
        "..data/x",
        "..2026_01_01/x",
        "...",
        "a/...",
        "a..b",
        " ",
        "-x",
        "\n",
        "a\\b",
        "{byte:ff}",
        "{X}",
        "~",
    ],
)
def test_a_path_that_stays_in_the_home_is_accepted(path: str, tmp_path: Path) -> None:
    assert [made.path for made in load_entries(tmp_path, f'{json.dumps(path)} = ""')] == [path]

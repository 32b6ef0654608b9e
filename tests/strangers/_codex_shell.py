"""What the first start-up probe of codex-shell and its merged successor have in common, defect by defect.

Without its defects this is a right probe of `slot`. Each defect is a branch of its own, so that a program
can have one, some or all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

READY, CLI_BROKEN, CREDS_MISSING, CREDS_INVALID = 0, 64, 65, 66
STATUS = {
    READY: "ok",
    CLI_BROKEN: "cli_broken",
    CREDS_MISSING: "creds_missing",
    CREDS_INVALID: "creds_invalid",
}
BASELINE = {"CLAUDE.md", "config.toml", "settings.json"}

#: A test that has to wait for the end of it sets less.
CLI_SECONDS = float(os.environ.get("CODEX_SHELL_CLI_SECONDS", "10"))

#: The defects that the probe has in this process.
defects: set[str] = set()


def agent_named() -> str:
    """Return the agent's name as the environment has it."""
    if "agent-required" in defects:
        return os.environ["WOVED_TASK_AGENT"]
    agent = os.environ.get("WOVED_TASK_AGENT", "")
    return agent.strip() if "agent-stripped" in defects else agent


def cli_runs(agent: str) -> bool:
    """Tell whether the CLI says its version in time."""
    output = os.memfd_create("version")  # no pipe: a process that the CLI leaves could hold it open
    try:
        cli = subprocess.Popen(
            [agent, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if "pipe-waited-for" in defects else output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError:
        return False
    except OSError:
        if "exec-errors-uncaught" in defects:
            raise
        return False
    try:
        # The recipe of Python's own documentation, which waits for the end of the output.
        if "pipe-waited-for" in defects:
            os.pwrite(output, cli.communicate(timeout=CLI_SECONDS)[0], 0)
        else:
            cli.wait(timeout=CLI_SECONDS)
    except subprocess.TimeoutExpired:
        if "cli-left-running" in defects:
            cli.returncode = -signal.SIGKILL  # or Popen warns when it is forgotten
        elif "pipe-waited-for" in defects:
            cli.kill()
            cli.communicate()
        else:
            os.killpg(cli.pid, signal.SIGKILL)
            cli.wait()
        if "timeout-uncaught" in defects:
            raise
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(cli.pid, signal.SIGKILL)  # what it has left
    return says_version(output) and exited_well(cli.returncode)


def exited_well(status: int) -> bool:
    """Tell whether the CLI ended well; Python gives a signal as a negative number."""
    return status <= 0 if "signals-pass" in defects else status == 0


def says_version(output: int) -> bool:
    """Look at what the CLI printed, as far as the probe does; that it is there is enough."""
    printed = os.pread(output, 1 << 20, 0)
    text = printed.decode(errors="strict" if "output-decoded" in defects else "replace")
    if "empty-output-crashes" in defects:
        text.splitlines()[0]
    if "blank-output-crashes" in defects and text:
        text.split()[0]
    return True


def claude(home: Path) -> int:
    """Any regular file below ~/.claude that is not baseline is a login."""
    top = home / ".claude"
    if "pinned-name" in defects:
        return READY if (top / "credentials.json").is_file() else CREDS_MISSING
    try:
        if not top.is_dir():
            if "dot-claude-assumed" in defects and top.exists():
                os.listdir(top)
            return CREDS_MISSING
    except PermissionError:
        return CREDS_INVALID
    return walk(top)


def walk(top: Path) -> int:
    """Search *top* and what lies below it."""
    closed = False
    follow = "links-followed" in defects
    directories = [top]
    while directories:
        directory = directories.pop()
        if not os.access(directory, os.R_OK | os.X_OK):
            closed = True
            continue
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=follow):
                    directories.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=follow) and not (
                    directory == top and entry.name in BASELINE
                ):
                    return READY
    return CREDS_INVALID if closed and "closed-passed-over" not in defects else CREDS_MISSING


def codex(home: Path) -> int:
    """~/.codex/auth.json has to be JSON."""
    auth = home / ".codex" / "auth.json"
    try:
        if "fifo-waited-for" not in defects and not stat.S_ISREG(auth.stat().st_mode):
            return CREDS_INVALID
        json.loads(auth.read_bytes().decode())
    except (FileNotFoundError, NotADirectoryError):
        return CREDS_MISSING
    except (OSError, ValueError, RecursionError) as e:
        if uncaught(e):
            raise
        return CREDS_INVALID
    return READY


def uncaught(error: Exception) -> bool:
    """Tell whether the probe has no handler for an error that auth.json can bring."""
    kinds = {
        "permission-uncaught": PermissionError,
        "not-utf8-uncaught": UnicodeDecodeError,
        "recursion-uncaught": RecursionError,
    }
    return any(name in defects and isinstance(error, kind) for name, kind in kinds.items())


def judge() -> int:
    """Agent, then CLI, then credentials; the first that fails decides."""
    agent = agent_named()
    if agent not in ("claude", "codex") or not cli_runs(agent):
        return CLI_BROKEN
    home = os.environ["HOME"] if "home-required" in defects else os.environ.get("HOME")
    if not home:
        return CREDS_MISSING
    return claude(Path(home)) if agent == "claude" else codex(Path(home))


def main(known: set[str]) -> int:
    """Judge with all defects that are *known*, or with those that the command line names; `none` names none."""
    named = {*sys.argv[1:]} - {"none"}
    if not named <= known:
        raise SystemExit(f"no such defect: {', '.join(sorted(named - known))}")
    defects.update(known if len(sys.argv) == 1 else named)
    code = judge()
    # Some Managers read this and not the exit code.
    status = STATUS[READY] if "status-disagrees" in defects and code != CLI_BROKEN else STATUS[code]
    print(json.dumps({"status": status}))
    return code

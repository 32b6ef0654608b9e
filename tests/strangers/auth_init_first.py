"""A made-up program that lets somebody log in, with the faults that were seen in the first one of its kind."""

import os
import pty
import re
import select
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from json import dumps, loads
from typing import Any


def snapshot() -> dict[str, tuple[int, float]]:
    found = {}
    for directory, _, names in os.walk(os.path.expanduser("~/.claude")):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                status = os.stat(path)
                found[path] = (status.st_size, status.st_mtime)
    return found


def ask(method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    data = dumps(body).encode() if body is not None else None
    headers = {"X-Slot-Init-Token": os.environ["WOVED_SLOT_INIT_TOKEN"]}
    base = os.environ["WOVED_MANAGER_CALLBACK_URL"].rstrip("/")
    request = urllib.request.Request(base + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, b""
    except OSError:
        return 0, b""


def wait_for_code(quoted: str, deadline: float, poll: float) -> str | None:
    while time.monotonic() < deadline:
        status, body = ask("GET", f"{quoted}/code")
        if status == 200:
            return str(loads(body)["code"])
        time.sleep(poll)
    return None


def main() -> int:
    timeout = float(os.environ.get("WOVED_AUTH_INIT_TIMEOUT_S", "1800"))
    poll = float(os.environ.get("WOVED_AUTH_INIT_POLL_S", "2"))
    slot = os.environ["WOVED_SLOT_ID"]
    quoted = f"/slots/{urllib.parse.quote(slot, safe='')}/auth-init"
    deadline = time.monotonic() + timeout
    before = snapshot()
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("claude", ["claude"])
    text, posted, typed = "", False, False
    while True:
        if time.monotonic() > deadline:
            os.kill(pid, 15)
            os.waitpid(pid, 0)
            return 124
        if select.select([master], [], [], 0.05)[0]:
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            sys.stderr.buffer.write(data)
            sys.stderr.flush()
            text += data.decode(errors="replace")
        found = re.search(r"https://\S+", text)
        if found and not posted:
            ask("POST", f"{quoted}/url", {"url": found[0]})
            posted = True
        if posted and not typed:
            code = wait_for_code(quoted, deadline, poll)
            if code is None:
                os.kill(pid, 15)
                os.waitpid(pid, 0)
                return 124
            os.write(master, f"{code}\n".encode())
            typed = True
    return judged(pid, slot, before)


def judged(pid: int, slot: str, before: dict[str, tuple[int, float]]) -> int:
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        return max(code, 1)
    after = snapshot()
    artifacts = [path for path in after if before.get(path) != after[path]]
    if not artifacts:
        return 1
    done = {"completed_at": time.time(), "agent": "claude", "artifacts": artifacts}
    ask("POST", f"/slots/{slot}/auth-init/complete", done)
    return 0


sys.exit(main())

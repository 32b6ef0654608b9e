#!/bin/sh
# A start-up probe as somebody writes it in shell who knows the contract `slot` and nothing else of the
# suite: timeout, find and, for JSON, python3 or node, whichever is there.

cli_broken=64 creds_missing=65 creds_invalid=66

check_cli() {
    command -v "$1" >/dev/null || exit $cli_broken
    timeout -k 1 10 "$1" --version </dev/null >/dev/null 2>&1 || exit $cli_broken
}

# Whether there is nothing of this name, as `ls` says: test(1) does not tell "not there" from "not allowed".
absent() {
    case $(LC_ALL=C ls -dL -- "$1" 2>&1) in
        *': No such file or directory' | *': Not a directory') return 0 ;;
        *) return 1 ;;
    esac
}

check_claude() {
    absent "$HOME/.claude" && exit $creds_missing
    [ -e "$HOME/.claude" ] && ! [ -d "$HOME/.claude" ] && exit $creds_missing
    cd "$HOME/.claude" 2>/dev/null || exit $creds_invalid
    # A directory that cannot be both read and searched says nothing of a login; find passes over it.
    found=$(find . -type d ! \( -readable -executable \) -prune -o \
        -type f ! -path ./CLAUDE.md ! -path ./config.toml ! -path ./settings.json -print 2>/dev/null | head -c 1)
    [ -n "$found" ] && exit 0
    closed=$(find . -type d ! \( -readable -executable \) -prune -print 2>/dev/null | head -c 1)
    [ -n "$closed" ] && exit $creds_invalid
    exit $creds_missing
}

is_json() {
    if command -v node >/dev/null; then
        node -e '
            const bytes = require("fs").readFileSync(0);
            JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
        ' <"$1" >/dev/null 2>&1
    else
        python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read())' <"$1" >/dev/null 2>&1
    fi
}

check_codex() {
    auth=$HOME/.codex/auth.json
    absent "$auth" && exit $creds_missing
    [ -f "$auth" ] && [ -r "$auth" ] && is_json "$auth" && exit 0
    exit $creds_invalid
}

case ${WOVED_TASK_AGENT-} in
    claude | codex) agent=$WOVED_TASK_AGENT ;;
    *) exit $cli_broken ;;
esac
check_cli "$agent"
[ -n "${HOME-}" ] || exit $creds_missing
"check_$agent"

#!/usr/bin/env bash
# An entrypoint that is right in its own way: it links the baseline, replaces what is broken, and refuses without a word.
set -euo pipefail

case ${AGENT_MODE:-} in
    interactive | worker | auth-init | smoke-test) ;;
    *) exit 1 ;;
esac
if [[ $AGENT_MODE != smoke-test ]]; then
    [[ ${AGENT:-} == claude || ${AGENT:-} == codex ]] || exit 1
    [[ -n ${GH_TOKEN:-} ]] || exit 1
fi

good() {
    python3 -c 'import json, sys; sys.exit(not json.load(sys.stdin))' 2> /dev/null
}

auth=$HOME/.codex/auth.json
session=${CODEX_SESSION-}
if [[ ${AGENT:-} == codex && -n ${session//[[:space:]]/} ]] && good <<< "$session"; then
    mkdir -p "$HOME/.codex"
    if [[ -d $auth ]]; then
        echo "auth.json is a directory" >&2
    elif ! [[ -f $auth ]] || ! good < "$auth"; then
        made=$(mktemp "$HOME/.codex/.auth.XXXXXX")
        printf '%s' "$session" > "$made"
        mv -f "$made" "$auth"
    fi
fi
mkdir -p "$HOME/.claude"
[[ -e $HOME/.claude/CLAUDE.md ]] || ln -s /etc/rules.md "$HOME/.claude/CLAUDE.md" 2> /dev/null || true

# Whatever the CLI says, and however long it takes: ten seconds are the most.
timeout --kill-after 1 3 "${AGENT:-true}" --version > /dev/null 2>&1 || true

case $AGENT_MODE:${AGENT:-} in
    worker:*) exec "$AGENT" "$@" ;;
    auth-init:claude) exec claude auth login "$@" ;;
    auth-init:codex) exec codex login "$@" ;;
esac
(($# > 0)) && exec "$@"
[[ $AGENT_MODE == interactive ]] && exec bash -l
exec /opt/conformance/slot.py

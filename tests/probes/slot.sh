#!/bin/sh
# The contract `slot` in POSIX shell: a second, independent opinion of what the scenarios ask for.
#
# Beyond POSIX it needs `timeout` of GNU coreutils, which ends the whole process group of what it runs.
# It conforms under dash and bash; tr and awk may be anybody's.

say() { printf 'slot: %s\n' "$1" >&2; }
cli_broken() { say "cli-broken: $1"; exit 64; }
missing() { say "creds-missing: $1"; exit 65; }
invalid() { say "creds-invalid: $1"; exit 66; }
crashed() { say "crashed before judging: $1"; exit 1; }

# Set $cli to the program that PATH finds under the name $agent.
find_cli() {
    rest=${PATH-}:
    while [ -n "$rest" ]; do
        cli=${rest%%:*}
        cli=${cli:-.}/$agent
        rest=${rest#*:}
        case $cli in /*) ;; *) cli=./$cli ;; esac
        if [ -f "$cli" ] && [ -x "$cli" ]; then return 0; fi
    done
    return 1
}

# Whether the kernel would take $cli for a program. A shell, and execvp(3) of many a C library, run
# what the kernel refuses as a shell script, so this cannot be found out by starting it. One that may
# be started but not read is left to the test.
is_program() {
    [ -r "$cli" ] || return 0
    case $(dd if="$cli" bs=4 count=1 2>/dev/null | od -An -tx1) in
        ' 23 21'* | ' 7f 45 4c 46'*) return 0 ;;
        *) return 1 ;;
    esac
}

# Whether `$cli --version` exits 0 within 10 seconds; nothing of its process group lives on.
cli_runs() {
    group=
    trap 'kill -s KILL -- "-$group" 2>/dev/null; crashed "interrupted"' HUP INT TERM
    timeout -s KILL 10 "$cli" --version </dev/null >/dev/null 2>&1 &
    group=$!
    wait "$group" 2>/dev/null
    status=$?
    kill -s KILL -- "-$group" 2>/dev/null
    trap - HUP INT TERM
    return "$status"
}

# Go through the current directory and all below it, one directory at a time: so no path gets too
# long. A regular file that is none of the names in $1 ends the probe: the slot is ready.
unsearchable=
walk() {
    for entry in * .[!.]* ..?*; do
        if [ -h "./$entry" ]; then
            continue
        elif [ -f "./$entry" ]; then
            case "$1" in *"/$entry/"*) ;; *) exit 0 ;; esac
        elif [ -d "./$entry" ]; then
            if ! cd -P "./$entry" 2>/dev/null; then
                unsearchable=yes
                continue
            fi
            if [ -r . ]; then walk /; else unsearchable=yes; fi
            cd -P .. 2>/dev/null || crashed "no way back from a directory"
        fi
    done
}

# Why $1 cannot be reached, in the words of the C library: the only way for a script to tell
# "not there" from "not allowed".
why_not() { { ls -dL -- "$1" >/dev/null; } 2>&1; }

check_claude() {
    if ! [ -d "$HOME/.claude" ]; then
        case $(why_not "$HOME/.claude") in
            *': Permission denied') invalid "no access to .claude" ;;
            *) missing "there is no directory .claude" ;;
        esac
    fi
    unset CDPATH
    cd -P -- "$HOME/.claude" 2>/dev/null || invalid ".claude cannot be searched"
    [ -r . ] || invalid ".claude cannot be read"
    walk /CLAUDE.md/config.toml/settings.json/
    [ -z "$unsearchable" ] || invalid "no login, but a part of .claude cannot be searched"
    missing "all of .claude came with the image"
}

# Write the file $1 with every byte replaced by a letter for its class, so that awk never meets a byte
# that it might take for half a character, a NUL, or the end of a line:
#   d  hexadecimal digits A-D, F and c (the others stand for themselves: each has yet another meaning)
#   t  blank that no string may hold: tab, line feed, carriage return; written as a tab
#   X  what stands nowhere in JSON: other control characters, bytes that are never part of UTF-8
#   z  other capital letters, so that capitals are free for these classes of bytes in UTF-8:
#   P 80-8F  Q 90-9F  R A0-BF  follow;  A C2-DF  B E0  C E1-EC,EE,EF  D ED  F F0  G F1-F3  H F4  lead
# A blank at the end makes sure that something follows the last quotation mark.
classes() {
    controls='XXXXXXXXX		XX	XXXXXXXXXXXXXXXXXX' # 00-1F
    follow=PPPPPPPPPPPPPPPPQQQQQQQQQQQQQQQQRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR # 80-BF
    lead=XXAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABCCCCCCCCCCCCDCCFGGGHXXXXXXXXXXX # C0-FF
    tr 'A-DFcG-Z\000-\037\200-\377' "dddddd${capitals}$controls$follow$lead" <"$1" | tr -s ' \t'
    echo ' '
}
capitals=zzzzzzzzzzzzzzzzzzzz # G-Z

# Whether standard input, as `classes` writes it, is JSON: 0 for yes, 3 for no. Cut at the quotation
# marks, every record is either a string or what stands between two. Of the latter, what is whole becomes
# V (a value) at once; the rest goes through a state machine with a stack, so that no depth is too deep.
is_json() {
    awk '
        BEGIN { RS = "\""; state = "value"; hex = "[0-9a-fE]" }

        # A quotation mark went before: it opened a string, or ended it, or was escaped.
        NR > 1 && !escaped { inside = !inside; if (!inside) step("S") }
        { escaped = 0 }
        bad { exit }
        inside { string($0); next }
        { between($0) }
        END { exit bad || inside || depth || state != "after" ? 3 : 0 }

        # One record of a string; an escaped quotation mark does not end it.
        function string(s) {
            gsub("\\\\([\\\\/bfnrt]|u" hex hex hex hex ")", "z", s)
            escaped = sub(/\\$/, "", s)
            gsub(/A[PQR]|BR[PQR]|[CD][PQ][PQR]|CR[PQR]|F[QR][PQR][PQR]|G[PQR][PQR][PQR]|HP[PQR][PQR]/, "z", s)
            if (s ~ /[\\\tXPQRABCDFGH]/) bad = 1
        }

        function between(s,   i, n) {
            gsub(/true|false|null/, "V", s)
            gsub(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/, "V", s)
            gsub(/[ \t]+/, "", s)
            for (i = 0; i < 3; i++) {
                gsub(/\[V?\]|\{\}/, "V", s)
                gsub(/,V(,V)+/, ",V", s)
                gsub(/\[V,V\]/, "V", s)
            }
            n = length(s)
            for (i = 1; i <= n && !bad; i++) step(substr(s, i, 1))
        }

        # One token: S a string, V another value, or a sign. state is what may come next.
        function step(token) {
            if (token == "S" && (state == "key" || state == "key or }")) state = "colon"
            else if (token == "S" || token == "V") {
                if (state == "value" || state == "value or ]") state = "after"; else bad = 1
            } else if (token == "[" || token == "{") {
                if (state != "value" && state != "value or ]") bad = 1
                stack[++depth] = token
                state = token == "[" ? "value or ]" : "key or }"
            } else if (token == "]" || token == "}") {
                if (!depth || stack[depth] != (token == "]" ? "[" : "{")) bad = 1
                if (state != "after" && state != "value or ]" && state != "key or }") bad = 1
                depth--
                state = "after"
            } else if (token == "," && state == "after" && depth) state = stack[depth] == "[" ? "value" : "key"
            else if (token == ":" && state == "colon") state = "value"
            else bad = 1
        }'
}

check_codex() {
    file=$HOME/.codex/auth.json
    if ! [ -e "$file" ]; then
        case $(why_not "$file") in
            *': No such file or directory' | *': Not a directory') missing "there is no .codex/auth.json" ;;
            *) invalid "no access to .codex/auth.json" ;;
        esac
    fi
    [ -f "$file" ] || invalid ".codex/auth.json is not a regular file"
    [ -r "$file" ] || invalid ".codex/auth.json cannot be read"
    classes "$file" 2>/dev/null | is_json
    case $? in
        0) exit 0 ;;
        3) invalid ".codex/auth.json is not JSON in UTF-8" ;;
        *) crashed "awk failed" ;;
    esac
}

agent=${WOVED_TASK_AGENT-}
case $agent in
    claude | codex) ;;
    *) cli_broken "WOVED_TASK_AGENT names no known agent" ;;
esac
find_cli || cli_broken "$agent is not on PATH, or not executable"
is_program || cli_broken "$agent is no program"
command -v timeout >/dev/null || crashed "timeout is not on PATH"
cli_runs || cli_broken "$agent --version failed, or did not end within 10 seconds"
[ -n "${HOME-}" ] || cli_broken "HOME is not set"
export LC_ALL=C # bytes, and messages in English
"check_$agent"

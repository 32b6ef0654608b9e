#!/bin/sh
# The contract `slot` in POSIX shell: a second, independent opinion of what the scenarios ask for.
#
# Beyond POSIX it needs `timeout` of GNU coreutils, which ends the whole process group of what it runs.
# It conforms under dash and bash, where a thousand levels of directories take bash some seconds. tr and
# awk may be anybody's.

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

# List the current directory, which is $depth levels down. A regular file ends the probe, since the slot
# is ready, unless $1 has its name. Directories go on a stack, a pair of variables each.
unsearchable='' depth=0 top=0
list() {
    for entry in * .[!.]* ..?*; do
        if [ -h "./$entry" ]; then
            continue
        elif [ -f "./$entry" ]; then
            case $1 in *"/$entry/"*) ;; *) exit 0 ;; esac
        elif [ -d "./$entry" ]; then
            top=$((top + 1))
            eval "name_$top=\$entry depth_$top=$((depth + 1))"
        fi
    done
}

# Go through all directories on the stack, one level at a time: so no path gets too long.
walk() {
    while [ "$top" -gt 0 ]; do
        name='' level=0
        eval "name=\$name_$top level=\$depth_$top"
        top=$((top - 1))
        while [ "$depth" -ge "$level" ]; do
            cd -P .. 2>/dev/null || crashed "no way back from a directory"
            depth=$((depth - 1))
        done
        if ! cd -P "./$name" 2>/dev/null; then
            unsearchable=yes
            continue
        fi
        depth=$level
        if [ -r . ]; then list /; else unsearchable=yes; fi
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
    list /CLAUDE.md/config.toml/settings.json/
    walk
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
# The text is cut into short lines, since awk is slow with long ones.
classes() {
    capitals=zzzzzzzzzzzzzzzzzzzz                                           # G-Z
    controls='XXXXXXXXX		XX	XXXXXXXXXXXXXXXXXX'                         # 00-1F
    follow=PPPPPPPPPPPPPPPPQQQQQQQQQQQQQQQQRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR # 80-BF
    lead=XXAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABCCCCCCCCCCCCDCCFGGGHXXXXXXXXXXX   # C0-FF
    tr 'A-DFcG-Z\000-\037\200-\377' "dddddd$capitals$controls$follow$lead" <"$1" | tr -s ' \t' | fold -b -w 500
}

# Whether standard input, as `classes` writes it, is JSON: 0 for yes, 3 for no. Each line is reduced as
# far as it can be without knowing what it stands in: first escapes and characters, then strings, then
# numbers and words, then whole arrays and objects; what may go on in the next line is carried there. The
# rest goes through a state machine with a stack, so that no depth is too deep. In reduced text
#   S  is a string, K a string and the colon after it, V any value.
is_json() {
    awk '
        BEGIN { state = "value" }
        { line($0) }
        bad { exit }
        END {
            if (!bad) line(" ")
            if (carry == "S") step("V")
            exit bad || inside || depth || state != "after" ? 3 : 0
        }

        function line(s,   at, i, n) {
            s = carry s
            carry = ""
            gsub(/\\(["\\\/bfnrt]|u[0-9a-fE][0-9a-fE][0-9a-fE][0-9a-fE])/, "z", s)
            gsub(/A[PQR]|BR[PQR]|[CD][PQ][PQR]|CR[PQR]|F[QR][PQR][PQR]|G[PQR][PQR][PQR]|HP[PQR][PQR]/, "z", s)
            if (match(s, /(\\(u[0-9a-fE]?[0-9a-fE]?[0-9a-fE]?)?|[ABCDFGH][PQR]?[PQR]?)$/)) {
                carry = substr(s, RSTART)
                s = substr(s, 1, RSTART - 1)
            }
            if (s ~ /[\\XABCDFGHPQR]/) bad = 1

            if (inside) {
                at = index(s, "\"")
                if (substr(s, 1, at ? at - 1 : length(s)) ~ /\t/) bad = 1
                if (!at) return
                s = "S" substr(s, at + 1)
                inside = 0
            }
            gsub(/"[^"\t]*"/, "S", s)
            at = index(s, "\"")
            if (at) {
                inside = 1
                if (substr(s, at + 1) ~ /["\t]/) bad = 1
                s = substr(s, 1, at - 1)
            } else if (match(s, /[-+.0-9a-zE]+$/)) {
                at = RSTART
                carry = shorter(substr(s, at)) carry
                s = substr(s, 1, at - 1)
            }

            gsub(/true|false|null/, "V", s)
            gsub(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/, "V", s)
            gsub(/[ \t]+/, "", s)
            gsub(/S:/, "K", s)
            if (!inside && carry == "" && s ~ /S$/) {
                carry = "S"
                s = substr(s, 1, length(s) - 1)
            }
            gsub(/S/, "V", s)
            for (i = 0; i < 3; i++) {
                gsub(/\[(V(,V)*)?\]|\{(KV(,KV)*)?\}/, "V", s)
                gsub(/,V(,V)+/, ",V", s)
                gsub(/,KV(,KV)+/, ",KV", s)
            }
            n = length(s)
            for (i = 1; i <= n && !bad; i++) step(substr(s, i, 1))
        }

        # A number that is cut off may be long: of digits in a row the first two tell all.
        function shorter(word) {
            while (match(word, /[0-9][0-9][0-9]+/)) word = substr(word, 1, RSTART + 1) substr(word, RSTART + RLENGTH)
            if (length(word) > 20) bad = 1
            return word
        }

        # One token; state is what may come next.
        function step(token) {
            if (token == "V" && (state == "value" || state == "value or ]")) state = "after"
            else if (token == "K" && (state == "key" || state == "key or }")) state = "value"
            else if (token == "," && state == "after" && depth) state = stack[depth] == "[" ? "value" : "key"
            else if ((token == "[" || token == "{") && (state == "value" || state == "value or ]")) {
                stack[++depth] = token
                state = token == "[" ? "value or ]" : "key or }"
            } else if (token == "]" && depth && stack[depth] == "[" && (state == "after" || state == "value or ]")) {
                depth--
                state = "after"
            } else if (token == "}" && depth && stack[depth] == "{" && (state == "after" || state == "key or }")) {
                depth--
                state = "after"
            } else bad = 1
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

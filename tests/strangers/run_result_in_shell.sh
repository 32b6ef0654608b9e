#!/bin/sh
# What was an agent run worth? In plain shell and grep: a result is a line in braces that names its type.

done=0 failed=67 auth_lost=68
LC_ALL=C
export LC_ALL

log=${ORCH_RUN_LOG-}
if [ ! -f "$log" ] || [ ! -r "$log" ]; then
    exit $failed
fi

if [ "${ORCH_RUN_EXIT_CODE-}" = 0 ]; then
    blanks='[[:space:]]*'
    result=$(tr -d '\000' <"$log" | grep -a "^$blanks{.*\"type\"$blanks:$blanks\"result\".*}$blanks\$" | tail -n 1)
    case $result in
        '') ;;
        *'"is_error":true'* | *'"is_error": true'*) ;;
        *) exit $done ;;
    esac
fi

grep -a -q -i -e 'not logged in' -e '/login' -e 'unauthorized' -e '401' -- "$log" && exit $auth_lost
exit $failed

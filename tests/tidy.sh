#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# scripts/tidy.py has clang-tidy look at a source once for each way in which it is compiled to something else, and no more
# often. usage: tidy.sh
set -euo pipefail

tidy=$(cd "$(dirname "$0")/.." && pwd)/scripts/tidy.py
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/old" "$dir/new"

cat >"$dir/.clang-tidy" <<'END'
Checks: -*,bugprone-suspicious-semicolon
WarningsAsErrors: '*'
END
cat >"$dir/a.c" <<'END'
#include <age.h>
int f(int x)
{
    if (x > AGE)
#ifdef FAULT
        ;
#endif
    x = 1;
    return x;
}
END
echo '#define AGE 1' >"$dir/old/age.h"
echo '#define AGE 2' >"$dir/new/age.h"

# looks COUNT OPTIONS...: so many times at a.c, compiled with each of OPTIONS to an object of its own.
looks() {
    local count=$1 options comma='' n=0 listed

    shift
    {
        printf '['
        for options in "$@"; do
            n=$((n + 1))
            printf '%s{"directory": "%s", "file": "%s/a.c", "command": "ccache cc -g %s -MD -MF %s.d -o %s.o -c %s/a.c"}\n' \
                "$comma" "$dir" "$dir" "$options" "$n" "$n" "$dir"
            comma=,
        done
        printf ']\n'
    } >"$dir/compile_commands.json"
    listed=$(python3 "$tidy" --list "$dir" 1 'a\.c$')
    if [ "$listed" != "$count $dir/a.c" ]; then
        printf 'it looks otherwise than %s times with %s: %s\n' "$count" "$*" "${listed:-at nothing}"
        exit 1
    fi
}

# says STATUS COUNT: it ends so, and finds the fault so many times.
says() {
    local status=0 count

    python3 "$tidy" "$dir" 1 'a\.c$' >"$dir/said" || status=$?
    count=$(grep -c 'error: .*bugprone-suspicious-semicolon' "$dir/said" || true)
    if [ "$status $count" != "$1 $2" ]; then
        cat "$dir/said"
        printf 'status %s with %s faults found, expected %s with %s\n' "$status" "$count" "$1" "$2"
        exit 1
    fi
}

looks 1 '-Iold' '-Iold'
looks 1 '-Iold -fPIC' '-fPIE -DNOBODY_ASKS -I old'
looks 2 '-Iold' '-isystem old'
says 0 0
looks 2 '-Iold' '-Inew' '-DNOBODY_ASKS -Inew'
looks 2 '-Iold -O0' '-Iold -O2'
looks 2 '-Iold' '-Iold -DFAULT' '-Iold -DFAULT'
says 1 1
# A fault of the preprocessor's is clang-tidy's to tell.
looks 2 '-Iold' '-Iolder'
status=0
python3 "$tidy" "$dir" 1 'a\.c$' >"$dir/said" || status=$?
if [ "$status" = 0 ] || ! grep -q "error: 'age.h' file not found" "$dir/said"; then
    cat "$dir/said"
    echo "it did not say that a header is missing"
    exit 1
fi

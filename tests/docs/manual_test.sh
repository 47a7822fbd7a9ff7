#!/bin/sh
# SPDX-License-Identifier: MIT
#
# manual_test.sh PAGE...: each manual page is formatted without a warning, by groff and by mandoc, whichever are
# here. With neither the test is skipped.
failed=0

# judge PAGE TOOL SAID: what the tool said must be nothing.
judge() {
    [ -z "$3" ] && return
    printf '%s, by %s:\n%s\n' "$1" "$2" "$3"
    failed=1
}

for page in "$@"; do
    [ -s "$page" ] || {
        echo "$page is missing or empty"
        exit 1
    }
    if command -v groff >/dev/null; then
        judge "$page" groff "$(groff -mdoc -Tutf8 -ww -z "$page" 2>&1)"
    fi
    if command -v mandoc >/dev/null; then
        judge "$page" mandoc "$(mandoc -Tlint -W warning "$page" 2>&1)"
    fi
done
command -v groff >/dev/null || command -v mandoc >/dev/null || {
    echo "skipped: neither groff nor mandoc is here to read the manual pages"
    exit 77
}
exit "$failed"

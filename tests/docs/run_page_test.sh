#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run_page_test.sh: run-page does what a page says, and fails where the page is wrong.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/good.md" <<'END'
# A page

## One

`greeting`:

```sh greeting
echo "hello $1"
```

```sh
test ! -e elsewhere && test "$(pwd)" = "$HOME"
sh greeting you
value=kept
```

```text
hel?o you
```

```diff greeting
--- greeting
+++ greeting
@@ -1 +1 @@
-echo "hello $1"
+echo "good bye, $1"
```

```ini
only = read
```

## Two

```sh
sh greeting "$value"
```

```text
good bye, kept
```
END
"$here/run-page" "$work/good.md" "$work/folder" >"$work/said" || {
    cat "$work/said"
    exit 1
}
"$here/run-page" "$work/good.md" "$work/folder" --until Two >/dev/null

# fails SED-SCRIPT SENTENCE [OPTION...]: a page that was changed so is found out, with this sentence.
fails() {
    sed "$1" "$work/good.md" >"$work/bad.md"
    sentence=$2
    shift 2
    if "$here/run-page" "$work/bad.md" "$work/folder" "$@" >"$work/said" 2>&1 || ! grep -qF "$sentence" "$work/said"; then
        cat "$work/said"
        echo "expected a failure, and: $sentence"
        exit 1
    fi
}
fails 's/^hel?o you/hello them/' "did not say: hello them"
fails 's/^sh greeting you/sh gretting you/' "ended with status"
fails 's/^-echo "hello/-echo "hallo/' "ended with status"
fails 's/^value=kept/value=lost/' "did not say: good bye, kept"
fails '' "has no block below a heading 'Three'" --section Three
# shellcheck disable=SC2016 # for sed
fails '$d' "does not end"
# shellcheck disable=SC2016 # for sed
fails '/^```sh$/,/^```$/d' "has no commands"

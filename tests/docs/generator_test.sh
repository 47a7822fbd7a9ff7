#!/bin/sh
# SPDX-License-Identifier: MIT
#
# generator_test.sh SOURCE BUILD: scripts/make-docs --check finds what it is there to find, in a copy of what it reads.
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fresh() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/core/program"
    (cd "$source" && cp -R README.md CONTRIBUTING.md LICENSE docs scripts configs examples "$work/tree/")
    cp "$source/core/program/program.h" "$work/tree/core/program/"
    cp -R "$source/core/include" "$work/tree/core/"
}

# finds SENTENCE: the check fails, having said it.
finds() {
    if "$work/tree/scripts/make-docs" --check "$build" >"$work/said" 2>&1; then
        echo "nothing was found; expected: $1"
        exit 1
    fi
    grep -qF -e "$1" "$work/said" || {
        cat "$work/said"
        echo "expected to read: $1"
        exit 1
    }
}

fresh
"$work/tree/scripts/make-docs" --check "$build" || {
    echo "the copy is not sound as it is"
    exit 1
}

echo "; changed" >>"$work/tree/configs/hello.ini"
finds "README.md is not what the generator gives: run scripts/make-docs $build"

fresh
sed -i 's/virtual CPUs/virtual GPUs/' "$work/tree/docs/machine-file.md"
finds "docs/machine-file.md is not what the generator gives"
"$work/tree/scripts/make-docs" "$build" >/dev/null
cmp "$work/tree/docs/machine-file.md" "$source/docs/machine-file.md"

fresh
sed -i '/^\.It Fl \\-initrd/d' "$work/tree/docs/man/backplane.1"
finds "docs/man/backplane.1 is not what the generator gives"

fresh
sed -i 's/Writes one line:/Writes some lines:/' "$work/tree/core/include/backplane/host.h"
finds "docs/man/backplane-plugin.3 is not what the generator gives"

fresh
echo '[nowhere](docs/nowhere.md) [no heading](docs/testing.md#nowhere)' >>"$work/tree/README.md"
finds "README.md: the link to docs/nowhere.md leads nowhere"
finds "README.md: the link to docs/testing.md#nowhere leads to no heading"

fresh
echo '#define STATUS_NEW 18' >>"$work/tree/core/program/program.h"
finds "docs/command-line.md: the exit statuses are [0, 2, 4, 6, 8, 10, 12, 14, 16], and those of core/program/program.h [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]"
finds "docs/man/backplane.1: the exit statuses are"

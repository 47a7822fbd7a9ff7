#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/templates/refused.sh PREFIX WORK: what `backplane new` does not take, each with its sentence, and no folder made.
set -eu
prefix=$1 work=$2
rm -rf "$work"
mkdir -p "$work/there"
cd "$work"

# refuses SENTENCE ARGUMENT...
refuses() {
    expected="backplane: $1"
    shift
    status=0
    said=$("$prefix/bin/backplane" new plugin "$@" 2>&1) || status=$?
    [ "$status: $said" = "2: $expected" ] || {
        printf 'new plugin %s: expected\n2: %s\ngot\n%s: %s\n' "$*" "$expected" "$status" "$said"
        exit 1
    }
}

none='is none for a plugin; expected up to 48 of a-z, 0-9 and single '"'-', a letter first"
refuses "new: the name \"Bad\" $none" Bad
refuses "new: the name \"\" $none" ''
refuses "new: the name \"../x\" $none" ../x
refuses "new: the name \"a--b\" $none" a--b
refuses "new: the name \"a-\" $none" a-
refuses "new: the name \"1a\" $none" 1a
refuses 'new: there is there already; choose another name, or remove it' there
refuses 'new: --kind "disk" is none; expected device, cpu, net, char, block or service' x --kind disk
refuses 'new: --language "java" is none; expected c, c++ or rust' x --language java
refuses 'new: --kind "net" has a template in C only; c++ and rust are for device' x --kind net --language rust
refuses 'expected backplane new plugin NAME' x y
refuses '--seed is for validate' x --seed 1
[ "$(ls)" = there ]

# A program without its templates says where it looked.
cp "$prefix/bin/backplane" alone
status=0
said=$(BACKPLANE_TEMPLATES=/nowhere ./alone new plugin x 2>&1) || status=$?
[ "$status: $said" = '6: backplane: new: the templates are not there (/nowhere); install Backplane, or name their folder in BACKPLANE_TEMPLATES' ] || {
    echo "$status: $said"
    exit 1
}

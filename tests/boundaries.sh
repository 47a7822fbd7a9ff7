#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Who may include whom, held by grep. Prints every line that breaks a rule; exit status 1 if there is one.
#   core/include/backplane   libc and its own headers only
#   plugins/X                <backplane/...>, its own folder, <shared/...>, system headers; never another plugin or the core
#                            (shared/wake.h alone is the core's: base/wake.h)
#   core                     never a plugin, never tests
#   core/{base,memory,bus,loop}  never what stands above them: boot, pci, platform, machine, plugin, vcpu
#   core/program             <backplane/machine.h>, base's helpers and its own folder only
# usage: boundaries.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

broken=0
# rule SENTENCE: reads offending lines of `grep -Hn` from standard input.
rule() {
    local line

    while IFS= read -r line; do
        printf '%s\n    %s\n' "$line" "$1"
        broken=1
    done
}

# includes FOLDER...: every include in C sources below, as FILE:LINE:HEADER with its brackets.
includes() {
    local folder present=()

    for folder in "$@"; do
        [ -e "$folder" ] && present+=("$folder")
    done
    [ ${#present[@]} -gt 0 ] || return 0
    { grep -rHnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' "${present[@]}" || true; } |
        sed -E 's/#[[:space:]]*include[[:space:]]*//; s/[[:space:]]*(\/[*\/].*)?$//; s/:[[:space:]]+/:/'
}

libc='<(assert|errno|fcntl|inttypes|limits|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|time|unistd)\.h>'
rule "a public header includes libc and its own kind only" < <(
    includes core/include | grep -vE ":$libc\$|:\"(\.\./)?((ext|util)/)?[a-z_0-9]+\.h\"\$|:<backplane/[a-z_0-9/]+\.h>\$")

# own_folder_only FOLDER: of the includes on standard input, those in quotes that lead out of FOLDER.
own_folder_only() {
    local file line header at

    while IFS=: read -r file line header; do
        header=${header//\"/}
        at=$(dirname "$file")/$header
        [ -e "$at" ] || at=$1/$header
        case $(realpath -m --relative-to=. "$at") in
        "$1"/*) [ -e "$at" ] && continue ;;
        esac
        printf '%s:%s:"%s"\n' "$file" "$line" "$header"
    done
}
rooms='base|memory|bus|loop|vcpu|pci|platform|boot|machine|plugin|program|validate'
for folder in plugins/*/; do
    [ -d "$folder" ] || continue
    rule "a plugin includes <backplane/...> and its own folder only" < <(
        includes "$folder" | { grep -E ':"' || true; } | own_folder_only "${folder%/}" |
            grep -v '^plugins/shared/wake\.h:[0-9]*:"\.\./\.\./core/base/wake\.h"$')
    rule "a plugin sees neither the core's headers nor the embedding API" < <(
        includes "$folder" | grep -E ":<(backplane/machine\\.h|($rooms)/)")
done

rule "the core includes no plugin and no test" < <(
    includes core | grep -E ':["<](\.\./)*(plugins|tests|cpu-|dev-|chr-|net-|blk-)')
rule "base, memory, bus and loop know nothing of what stands on them" < <(
    includes core/base core/memory core/bus core/loop |
        grep -E ':["<](\.\./)?(boot|pci|platform|machine|plugin|vcpu|program)/')
rule "base includes base only" < <(includes core/base | grep -E ':"(\.\./)?(memory|bus|loop)/')
rule "the program uses the embedding API only" < <(
    includes core/program | grep -E ':["<](\.\./)?(memory|bus|loop|vcpu|pci|platform|boot|machine|plugin)/')

# No rule, a hint: files to look at again.
{ find core plugins tests examples -name '*.[ch]' -exec wc -l {} + 2>/dev/null || true; } |
    awk '$2 != "total" && $1 > 900 { printf "note: %s has %d lines\n", $2, $1 }'
exit "$broken"

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# explain_test.sh CHECK-LAYOUT GOLDEN: a change of a public header is told for what it is. The program that prints the layout
# is replaced by one that prints a changed golden file.
set -eu
check=$1 golden=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '#!/bin/sh\ncat "%s/now"\n' "$work" >"$work/program"
chmod +x "$work/program"

cp "$golden" "$work/now"
"$check" "$work/program" "$golden" || exit 1

# tells SED-SCRIPT SENTENCE: a layout that was changed so fails, with this sentence and no other.
tells() {
    sed "$1" "$golden" >"$work/now"
    if "$check" "$work/program" "$golden" >"$work/said"; then
        echo "no change was found: $1"
        exit 1
    fi
    grep -E '^  (allowed|NOT allowed): ' "$work/said" >"$work/sentences" || true
    printf '%s\n' "$2" | diff -u - "$work/sentences" || exit 1
}

tells 's/^struct bp_register .*/struct bp_register 32/; /^    access  /a\    since 24 8  uint64_t' \
    '  allowed:     bp_register.since (uint64_t) was appended at byte 24'
tells '/^struct bp_register /,/^struct bp_region_ops/s/^    access  .*/    since 20 4  uint32_t/' \
    '  NOT allowed: bp_register.access is gone
  NOT allowed: bp_register.since is new at byte 20, inside of what was there; append it'
tells '/^struct bp_region_ops /,/^struct bp_peer/s/^    read .*/    read 40 8  int (*)(void)/' \
    "  NOT allowed: bp_region_ops.read moved from byte 32 to 40"
tells '/^struct bp_region_ops /,/^struct bp_peer/s/^    read .*/    read 32 8  int (*)(void)/' \
    "  NOT allowed: bp_region_ops.read is int (*)(void), and was uint64_t (*)(void *self, uint64_t offset, uint32_t width) (names of parameters apart)"
tells 's/^\(constant BP_REG_RO *\).*/\10x7/' '  NOT allowed: BP_REG_RO is 0x7, and was 0x1'
tells '/^constant BP_REG_RO /d' '  NOT allowed: BP_REG_RO is gone'
# shellcheck disable=SC2016 # for sed
tells '$a\constant BP_NEW 0x1' '  allowed:     BP_NEW is new: 0x1'
tells 's/^\(constant BP_ABI_MINOR *\).*/\10x9/' '  allowed:     BP_ABI_MINOR is 0x9, and was 0x0'

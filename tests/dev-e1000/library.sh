#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# dev-e1000.so is used as a library by a program that is linked with libc alone, and neither brings anything of the core:
# no needed library and no undefined symbol says so. usage: library.sh E1000-LIBRARY DEV-E1000.SO [SANITIZED]
# EMULATOR: the words before a program of another processor's.
set -euo pipefail

program=$1 plugin=$2 sanitized=${3:-}
for file in "$program" "$plugin"; do
    # A sanitizer's runtime is the compiler's.
    needed=$(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
        grep -vE '^(libc\.so\.6|libdl\.so\.2|ld-linux-(x86-64\.so\.2|aarch64\.so\.1))$' || true)
    if [ -n "$needed" ] && [ -z "$sanitized" ]; then
        echo "$file needs $needed; expected libc alone"
        exit 1
    fi
    if [[ $needed == *backplane* ]]; then
        echo "$file needs $needed; expected nothing of the core"
        exit 1
    fi
done
# Where a sanitizer's runtime is to come with the program, the linker gives libc's symbols no versions.
if [ -z "$sanitized" ] && foreign=$(nm -D --undefined-only "$plugin" | awk '{print $2}' | grep -vE '@|^(__|_ITM_)'); then
    echo "$plugin wants symbols that libc does not have: $foreign"
    exit 1
fi
if [ "$(nm -D --defined-only "$plugin" | awk '{print $3}')" != bp_plugin_v0 ]; then
    echo "$plugin exports more than bp_plugin_v0"
    exit 1
fi
# shellcheck disable=SC2086  # words
${EMULATOR:-} "$program" "$plugin"

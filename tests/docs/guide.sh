#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# guide.sh PREFIX PAGE FOLDER [--until HEADING]: does what the guide for authors of plugins says (run-page), with the
# Backplane in PREFIX. Unless it ends before the driver, Debian's kernel and its headers are fetched, and the driver is
# built as a module and runs in a guest.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

prefix=$1
shift
export PATH=$prefix/bin:$PATH
if [ $# = 2 ]; then
    need_packages "${packages_guest[@]}" "${packages_headers[@]}"
    folder=$(fetch_kernel cloud)
    kernel=$(kernel_image "$folder")
    headers=$(kernel_headers "$folder")
    busybox=$(find_busybox)
    export kernel headers busybox
fi
# The page wants Backplane found as getting-started.md says; that page has a test of its own.
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name backplane.pc)")
export PKG_CONFIG_PATH
"$here/run-page" "$@"

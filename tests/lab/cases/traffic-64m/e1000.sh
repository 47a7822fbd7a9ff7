# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# As traffic/e1000.sh, with a file as long as under cpu-interp.
traffic e1000 file=64 small=8 bulk=16

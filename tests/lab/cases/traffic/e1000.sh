# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# A guest under cpu-kvm talks to the lab's network stack, with e1000: tests/traffic.
traffic e1000

# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# A guest under cpu-kvm talks to the lab's network stack, with virtio: tests/traffic.
traffic virtio

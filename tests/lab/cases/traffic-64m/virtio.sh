# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# As traffic/virtio.sh, with a file as long as under cpu-interp.
traffic virtio file=64 small=8 bulk=16

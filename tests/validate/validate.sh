#!/bin/bash
# SPDX-License-Identifier: MIT
#
# validate.sh BACKPLANE FILE - backplane validate over a backend with what the values that the
# validator makes up cannot give it: images, a capture, and an interface in a network namespace of
# the test's own. Where none can be had, what needs one is skipped by the validator.
set -euo pipefail

backplane=$(realpath "$1") file=$(realpath "$2")
plugin=$(basename "$file" .so)
if [[ $plugin == net-* && -z ${IN_NAMESPACE:-} ]]; then
    for how in -n -rn; do
        if unshare $how true 2>/dev/null; then
            IN_NAMESPACE=yes exec unshare $how "$0" "$@"
        fi
    done
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

validate() {
    echo "# validate $*"
    "$backplane" validate "$file" --seed 20 --time-limit 60 "$@"
}

# A capture (pcap, microseconds, Ethernet) of frames to everybody, a millisecond apart.
capture() {
    printf '\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\xff\xff\0\0\1\0\0\0'
    for ms in 0 1 2 3; do
        # shellcheck disable=SC2059 # the format is the bytes
        printf '\0\0\0\0'"\\x$(printf %02x $((ms * 1000 % 256)))\\x$(printf %02x $((ms * 1000 / 256)))"
        printf '\0\0\x3c\0\0\0\x3c\0\0\0\xff\xff\xff\xff\xff\xff\x52\x54\0\0\0\1\x88\xb5'
        head -c 46 /dev/zero
    done
}

case $plugin in
blk-file)
    "$backplane" img create "$folder/disk.qcow2" 1M
    "$backplane" img create "$folder/disk.raw" 1M
    validate
    validate --set file.file="$folder/disk.qcow2"
    # Several instances may have an image that none of them writes.
    validate --set file.file="$folder/disk.raw" --set file.snapshot=yes
    ;;
net-pcap)
    settings=(--set replay.file="$folder/frames.pcap" --set capture.file=/dev/null)
    capture >"$folder/frames.pcap"
    if [[ -n ${IN_NAMESPACE:-} ]] && ip link add bpa type veth peer name bpb; then
        ip link set bpa up
        ip link set bpb up
        settings+=(--set live.ifname=bpa)
    fi
    validate "${settings[@]}"
    ;;
net-socket)
    # A peer that is not there yet, and port 0, which several instances may have.
    validate --set stream.connect="unix:$folder/peer" --set datagram.local=udp:127.0.0.1:0 \
        --set datagram.remote=udp:127.0.0.1:9
    validate --set stream.listen=tcp:127.0.0.1:0
    ;;
*)
    validate
    ;;
esac

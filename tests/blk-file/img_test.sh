#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# `backplane img`: what it makes and says. usage: img_test.sh BACKPLANE
set -euo pipefail

backplane=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
failed=0

# says STATUS TEXT ARGUMENT...: img with these arguments ends so, and says this.
says() {
    local status=$1 text=$2 said found=0

    shift 2
    said=$("$backplane" img "$@" 2>&1) || found=$?
    if [ "$found" != "$status" ] || [ "$said" != "$text" ]; then
        printf 'img %s\n ends with %s, expected %s, and says:\n%s\n expected:\n%s\n' \
            "$*" "$found" "$status" "$said" "$text"
        failed=1
    fi
}

# holds TEXT COMMAND...: its output has that line in it.
holds() {
    local text=$1

    shift
    if ! "$@" 2>&1 | grep -qxF -- "$text"; then
        printf '%s\n does not say: %s\n' "$*" "$text"
        failed=1
    fi
}

sound() {
    if command -v qemu-img >/dev/null && ! qemu-img check -q "$1"; then
        printf '%s is not sound\n' "$1"
        failed=1
    fi
}

# create
says 0 '' create disk.img 3M
holds 'disk size:     3145728 (3 MiB)' "$backplane" img info disk.img
holds 'format:        raw' "$backplane" img info disk.img
holds 'space taken:   0' "$backplane" img info disk.img
says 0 '' create --format raw plain 512
says 0 '' create a.qcow2 10G
sound a.qcow2
holds 'disk size:     10737418240 (10 GiB)' "$backplane" img info a.qcow2
holds 'refcounts:     16 bits' "$backplane" img info a.qcow2
says 0 '' create --backing a.qcow2 b.qcow2
sound b.qcow2
holds 'backing file:  a.qcow2 (qcow2)' "$backplane" img info b.qcow2
holds '  "backing-format":"qcow2"' "$backplane" img info --json b.qcow2
holds 'disk size:     10737418240 (10 GiB)' "$backplane" img info b.qcow2
says 0 '' create --backing disk.img --backing-format raw c 4M
sound c
holds 'backing file:  disk.img (raw)' "$backplane" img info c
says 6 "backplane img: 'b.qcow2' looks like a qcow2 image that names another file, 'a.qcow2'; if it is one, say \
--backing-format qcow2, and if it is the disk of a guest, raw" create --backing b.qcow2 d
says 0 '' create --backing b.qcow2 --backing-format qcow2 d
says 6 "backplane img: 'disk.img' exists already; remove it, or choose another name" create disk.img 3M
says 6 "backplane img: cannot make 'no/disk': No such file or directory" create no/disk 3M
says 6 "backplane img: cannot open 'none': No such file or directory" create --backing none e
says 2 'backplane img: create needs a size: backplane img create x 10G' create x
says 2 'backplane img: "10Q" is no size of a disk; expected a multiple of 512 bytes up to 1024P, as in 10G' \
    create x 10Q
for size in 0 511 -1 1.5G 99999999999999999999 2048P 10GB ''; do
    says 2 "backplane img: \"$size\" is no size of a disk; expected a multiple of 512 bytes up to 1024P, as in 10G" \
        create x "$size"
done
says 2 'backplane img: a raw image has no backing file; leave --format raw out' \
    create --format raw --backing disk.img x
says 2 'backplane img: --backing-format: there is no --backing for it' create --backing-format raw x 1M
says 2 'backplane img: "vmdk" is no format; expected raw or qcow2' create --format vmdk x 1M

# resize
says 0 '' resize disk.img 5M
holds 'disk size:     5242880 (5 MiB)' "$backplane" img info disk.img
says 0 '' resize disk.img +512
holds 'disk size:     5243392 (5 MiB)' "$backplane" img info disk.img
says 6 "backplane img: 'disk.img' would shrink from 5243392 to 1048576 bytes, and lose what is beyond; if that is \
meant, say --shrink" resize disk.img 1M
says 0 '' resize --shrink disk.img -1M
holds 'disk size:     4194816 (4 MiB)' "$backplane" img info disk.img
says 0 '' resize a.qcow2 2T
sound a.qcow2
holds 'disk size:     2199023255552 (2 TiB)' "$backplane" img info a.qcow2
says 0 '' resize a.qcow2 +1000T
sound a.qcow2
says 6 "backplane img: 'a.qcow2' has 1101710651031552 bytes, and a qcow2 image cannot shrink here; qemu-img resize \
--shrink can" resize --shrink a.qcow2 1G
: >empty
says 0 '' resize empty 1M
says 2 'backplane img: resize needs a size: backplane img resize disk.img +10G' resize disk.img
says 2 'backplane img: "-9P" is no size of a disk; expected a multiple of 512 bytes up to 1024P, as in 10G' \
    resize disk.img -9P
says 6 "backplane img: '.' is no file, so that its size is what it is" resize . 1M

# the rest
says 6 "backplane img: cannot open 'none': No such file or directory" info none
says 2 'backplane img: there is one word too many: x' info disk.img x
says 2 'backplane img: expected create, info or resize, not make; backplane img --help tells more' make x
says 2 'backplane img: expected create, info or resize; backplane img --help tells more'
says 2 'backplane img: info needs the name of an image' info
says 2 'backplane img: there is no option --quick; backplane img --help lists them all' info --quick x
says 2 'backplane img: --format needs an argument' info x --format
"$backplane" img --help | grep -q '^Usage: backplane img create' || failed=1
exit "$failed"

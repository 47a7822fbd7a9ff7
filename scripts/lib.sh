# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What scripts/demo, scripts/test, scripts/bench and tests/lab share: packages, kernels, initramfs, build.
# Sourced by bash with `set -euo pipefail`. Everything fetched comes from where this machine's own apt takes
# its packages, is unpacked below $BACKPLANE_CACHE (default ~/.cache/backplane), and is never installed.

backplane_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
backplane_cache=${BACKPLANE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/backplane}

# What building the program takes, and what fetching and making a guest takes beyond it. Debian names.
# shellcheck disable=SC2034  # used by the scripts that source this file
packages_build=(gcc libc6-dev cmake ninja-build pkg-config libinih-dev libjson-c-dev libzydis-dev libzstd-dev
    liburing-dev zlib1g-dev libpcap-dev libslirp-dev)
# shellcheck disable=SC2034
packages_guest=(cpio gzip)
# What tests/pci-boot puts into its guest.
# shellcheck disable=SC2034
packages_pci=(pciutils)
# What building a module for the guest's kernel needs besides its headers.
# shellcheck disable=SC2034
packages_headers=(gcc-12 make libelf1)
# What guests need to look at a network card.
# shellcheck disable=SC2034
packages_nic=(ethtool)
# What tests/traffic puts into its guest and runs beside it.
# shellcheck disable=SC2034
packages_traffic=(iperf3 iputils-ping tcpdump iproute2)
# shellcheck disable=SC2034
packages_lab=(qemu-system-x86)
# What preset aarch64 takes of this machine, and what it links from a folder of its own.
# shellcheck disable=SC2034
packages_aarch64=(gcc-aarch64-linux-gnu qemu-user-static)
# shellcheck disable=SC2034
packages_aarch64_target=(libc6-dev libcmocka-dev libinih-dev libjson-c-dev libzstd-dev libzydis-dev
    liburing-dev zlib1g-dev libpcap-dev libslirp-dev libglib2.0-dev)
# shellcheck disable=SC2034
packages_firmware=(seabios grub-common grub-pc-bin e2fsprogs)
# shellcheck disable=SC2034
packages_bochs=(bochs bochs-term bochsbios vgabios grub-common grub-pc-bin mtools xorriso)

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# as_root COMMAND...: runs it as root, by sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$*' needs root, and there is no sudo: run it as root, then start again"
    fi
}

# alone NAME COMMAND...: runs it while nobody else on this cache does what goes by NAME. Tests that run at the same time want
# the same things; who has waited looks first whether they are there by now. A `die` in there ends COMMAND alone.
alone() {
    local name=$1

    shift
    mkdir -p "$backplane_cache"
    (
        flock 9
        "$@"
    ) 9>"$backplane_cache/.$name.lock"
}

apt_updated=
apt_update_once() {
    if [ -z "$apt_updated" ]; then
        say "refreshing the package lists (apt-get update)"
        # APT itself does not wait for another that refreshes them: it fails.
        alone update as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2
        apt_updated=yes
    fi
}

# need_packages NAME...: installs those that are missing, and says so. Silent when nothing is.
need_packages() {
    local name missing=()

    command -v dpkg-query >/dev/null ||
        die "this is no Debian: see to it that these are installed by hand: $*"
    for name in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
        installed) ;;
        *) missing+=("$name") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]} (apt-get install)"
    # Lists that are absent or stale show as a name or a file that is not found: refresh once, try again.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        install "${missing[@]}" </dev/null >/dev/null 2>&1 && return 0
    apt_update_once
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        install "${missing[@]}" </dev/null >&2 ||
        die "apt-get could not install ${missing[*]}: see above"
}

# fetch_package NAME: downloads and unpacks a package without installing it; prints the folder. Cached by name.
fetch_package() {
    local name=$1 dir=$backplane_cache/$1

    if [ ! -d "$dir" ]; then
        alone fetch unpack_package "$name" "$dir" || exit 1
    fi
    printf '%s\n' "$dir"
}

# unpack_package NAME DIR: downloads it into DIR, unless somebody else has just done so.
unpack_package() {
    local name=$1 dir=$2 temp

    [ ! -d "$dir" ] || return 0
    temp=$(mktemp -d "$backplane_cache/.fetch.XXXXXX") || die "cannot make a folder in $backplane_cache: see above"
    say "fetching $name (apt-get download)"
    # APT's sandbox user may not write to a folder of root's: fetch as who we are.
    (cd "$temp" && apt-get -qq -o APT::Sandbox::User=root download "$name") </dev/null >&2 || {
        apt_update_once
        (cd "$temp" && apt-get -qq -o APT::Sandbox::User=root download "$name") </dev/null >&2
    } || {
        rm -rf "$temp"
        die "apt-get could not download $name: see above"
    }
    if ! { mkdir "$temp/root" && dpkg-deb -x "$temp"/*.deb "$temp/root" && mv -T "$temp/root" "$dir"; }; then
        rm -rf "$temp"
        die "cannot create $dir"
    fi
    rm -rf "$temp"
}

# apt_config ARCH DIR: makes DIR a state of APT's own for another architecture, with this machine's sources and keys;
# prints the file for apt-get -c.
apt_config() {
    mkdir -p "$2"/state/lists/partial "$2"/cache/archives/partial
    : >"$2/status"
    # Hooks of this machine are about its own cache.
    cat >"$2/apt.conf" <<END
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "$1";
APT::Architectures { "$1"; };
APT::Sandbox::User "root";
Dir::State "$2/state";
Dir::State::status "$2/status";
Dir::Cache "$2/cache";
END
    printf '%s\n' "$2/apt.conf"
}

# fetch_sysroot ARCH NAME...: downloads packages of another architecture, with all that they depend on, and unpacks
# them into one folder, which it prints; APT and dpkg of this machine do not hear of them. Cached by the names.
fetch_sysroot() {
    local arch=$1 dir=$backplane_cache/sysroot-$1 temp config package link

    shift
    if [ "$(cat "$dir/packages" 2>/dev/null)" != "$*" ]; then
        mkdir -p "$backplane_cache"
        temp=$(mktemp -d "$backplane_cache/.fetch.XXXXXX")
        config=$(apt_config "$arch" "$temp/apt")
        say "fetching $* for $arch (apt-get install --download-only)"
        # shellcheck disable=SC2015  # either may fail
        apt-get -qq -c "$config" update </dev/null >&2 &&
            apt-get -qq -y -c "$config" --download-only --no-install-recommends install "$@" \
                </dev/null >&2 || {
            rm -rf "$temp"
            die "apt-get could not download packages for $arch: see above"
        }
        mkdir "$temp/root"
        for package in "$temp"/apt/cache/archives/*.deb; do
            dpkg-deb -x "$package" "$temp/root" || die "cannot unpack $package"
        done
        # They are meant for a root, which this is not: made relative they stay inside.
        while read -r -d '' link; do
            ln -snfr "$temp/root$(readlink "$link")" "$link"
        done < <(find "$temp/root" -lname '/*' -print0)
        printf '%s\n' "$*" >"$temp/root/packages"
        rm -rf "$dir"
        mv -T "$temp/root" "$dir" 2>/dev/null || [ -d "$dir" ] || die "cannot create $dir"
        rm -rf "$temp"
    fi
    printf '%s\n' "$dir"
}

# fetch_kernel cloud|generic: prints the folder of Debian's current kernel package, unpacked: boot/vmlinuz-*
# and lib/modules/*.
fetch_kernel() {
    local meta name dir

    case $1 in
    cloud) meta=linux-image-cloud-amd64 ;;
    generic) meta=linux-image-amd64 ;;
    *) die "kernel '$1' is neither cloud nor generic" ;;
    esac
    name=$(kernel_package "$meta")
    if [ -z "$name" ]; then
        # No package lists: a kernel fetched earlier will do, else they have to be had.
        for dir in "$backplane_cache"/linux-image-[0-9]*; do
            case $dir in
            *-cloud-amd64) [ "$1" = cloud ] && name=${dir##*/} ;;
            *-amd64) [ "$1" = generic ] && name=${dir##*/} ;;
            esac
        done
    fi
    if [ -z "$name" ]; then
        apt_update_once
        name=$(kernel_package "$meta")
    fi
    [ -n "$name" ] || die "apt knows no package $meta: is Debian's main archive for amd64 in its sources?"
    fetch_package "$name"
}

# The package that a kernel's metapackage stands for, or nothing.
kernel_package() {
    apt-cache depends --important "$1" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# kernel_headers DIR: the folder against which modules for the kernel in DIR, of fetch_kernel, are built. Its packages are
# put together in one folder; what they say of /usr/src is changed to that.
kernel_headers() {
    local version=${1##*/linux-image-} dir part parts temp

    dir=$backplane_cache/linux-headers-$version-merged
    if [ ! -d "$dir" ]; then
        parts=$(apt-cache depends --important "linux-headers-$version" 2>/dev/null |
            sed -n 's/^ *Depends: \(linux-headers-.*\|linux-kbuild-.*\)$/\1/p')
        [ -n "$parts" ] || die "apt knows no package linux-headers-$version: remove $1, whose time has passed, and start again"
        temp=$(mktemp -d "$backplane_cache/.headers.XXXXXX")
        for part in "linux-headers-$version" $parts; do
            cp -a "$(fetch_package "$part")/." "$temp/"
        done
        sed -i "s|/usr/src/|$dir/usr/src/|" "$temp/usr/src/linux-headers-$version/Makefile"
        chmod 755 "$temp"
        mv -T "$temp" "$dir" 2>/dev/null || [ -d "$dir" ] || die "cannot create $dir"
        rm -rf "$temp"
    fi
    printf '%s\n' "$dir/usr/src/linux-headers-$version"
}

# kernel_image DIR: the one kernel in a folder that fetch_kernel gave.
kernel_image() {
    local image

    for image in "$1"/boot/vmlinuz-*; do
        [ -f "$image" ] || die "no kernel in $1/boot: remove $1 and start again"
        printf '%s\n' "$image"
        return
    done
}

# kernel_elf DIR OUT: the ELF vmlinux inside the bzImage of a folder that fetch_kernel gave. Where the payload is says its
# header (Linux boot protocol, payload_offset); XZ's stream is followed by four bytes of its size.
kernel_elf() {
    local image setup offset length

    image=$(kernel_image "$1")
    setup=$(od -An -tu1 -j$((0x1f1)) -N1 "$image")
    offset=$(od -An -tu4 -j$((0x248)) -N4 "$image")
    length=$(od -An -tu4 -j$((0x24c)) -N4 "$image")
    tail -c +$(((setup + 1) * 512 + offset + 1)) "$image" | head -c "$length" |
        xz --decompress --single-stream --stdout >"$2" || [ -s "$2" ] || die "$image holds no XZ payload"
}

# kernel_module DIR NAME: the file of a module of that kernel.
kernel_module() {
    local found

    found=$(find "$1/lib/modules" -name "$2.ko" -print -quit)
    [ -n "$found" ] || die "the kernel in $1 has no module $2"
    printf '%s\n' "$found"
}

# Prints the path of a statically linked busybox. Taken from its package without installing it, because
# busybox-static would push another busybox off the machine.
find_busybox() {
    local dir

    if [ "$(dpkg-query -W -f '${db:Status-Status}' busybox-static 2>/dev/null)" = installed ] &&
        [ -x /bin/busybox ]; then
        printf '/bin/busybox\n'
        return
    fi
    dir=$(fetch_package busybox-static)
    for dir in "$dir/bin/busybox" "$dir/usr/bin/busybox"; do
        if [ -x "$dir" ]; then
            printf '%s\n' "$dir"
            return
        fi
    done
    die "no busybox in $backplane_cache/busybox-static: remove it and start again"
}

# pack_initramfs DIR OUT: a cpio archive of a tree, the same bytes for the same tree, owned by root whoever
# runs this; compressed if OUT ends in .gz.
pack_initramfs() {
    local dir=$1 out=$2 filter=(cat)

    case $out in
    *.gz) filter=(gzip -1n) ;;
    esac
    find "$dir" -exec touch -h -d @0 {} +
    (cd "$dir" && find . -print0 | LC_ALL=C sort -z |
        cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) |
        "${filter[@]}" >"$out.new"
    mv "$out.new" "$out"
}

# make_initramfs OUT INIT [SOURCE:DEST]...: busybox with all of its commands, INIT as /init, and further files.
make_initramfs() {
    local out=$1 init=$2 root busybox file

    shift 2
    busybox=$(find_busybox)
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,dev,etc,proc,root,sys,tmp}
    cp "$busybox" "$root/bin/busybox"
    cp "$init" "$root/init"
    chmod 755 "$root/init"
    for file in "$@"; do
        mkdir -p "$root/$(dirname "${file#*:}")"
        cp -L "${file%%:*}" "$root/${file#*:}"
    done
    mkdir -p "$(dirname "$out")"
    pack_initramfs "$root" "$out"
    rm -rf "$root"
}

# configure_and_build PRESET [TARGET...]: quiet unless it fails; what failed is shown then.
configure_and_build() {
    local preset=$1 log

    shift
    log=$backplane_root/build/$preset.log
    mkdir -p "$backplane_root/build"
    if ! (cd "$backplane_root" && cmake --preset "$preset" &&
        cmake --build --preset "$preset" ${1:+--target "$@"}) >"$log" 2>&1 </dev/null; then
        tail -n 60 "$log" >&2
        say "the build of preset $preset failed: see above, and all of it in $log"
        return 1
    fi
}

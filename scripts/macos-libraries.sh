# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The libraries that scripts/cross-macos links with: built from Debian's source packages by zig's C compiler, as static
# libraries, once an architecture, below $backplane_cache. Sourced after scripts/lib.sh.
#
# A source is an original archive of the pool that this machine's apt uses, pinned by version and checksum. Where it cannot
# be had, a stub takes its place: a text file with the names that Debian's own library exports. That is said each time, and
# the source is tried again the next time.

# NAME VERSION ARCHIVE-IN-THE-POOL SHA256. inih, Zycore, Zydis, zlib and zstd are of a later Debian than 12: of bookworm's
# inih and Zycore some mirrors have the description and not the archive, Zydis goes with its Zycore, and bookworm's zlib takes
# macOS for a system without fdopen().
# shellcheck disable=SC2034
macos_sources="
inih 59 main/libi/libinih/libinih_59.orig.tar.gz 062279922805f5e9a369551a08d5ddb506140fe50774183ffdbb7c22bb97e3f4
json-c 0.16 main/j/json-c/json-c_0.16.orig.tar.gz 3ecaeedffd99a60b1262819f9e60d7d983844073abc74e495cb822b251904185
zstd 1.5.7 main/libz/libzstd/libzstd_1.5.7+dfsg.orig.tar.xz 0c092ef267edce57ba7f3f2645c861f72eaf5e76273c6c3632869423464b90a5
z 1.3.1 main/z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz 60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb
pcap 1.10.3 main/libp/libpcap/libpcap_1.10.3.orig.tar.gz 2a8885c403516cf7b0933ed4b14d6caa30e02052489ebd414dc75ac52e7559e6
Zycore 1.5.2 main/z/zycore-c/zycore-c_1.5.2.orig.tar.gz 828f2e2e502c4a339c53162b865afd13de80fdfa068a9ba18032e743243027ea
Zydis 4.1.1 main/z/zydis/zydis_4.1.1.orig.tar.gz dcc31180a31e7f568d79d55f8181bd961981559a5666bf6fac43a69ad8b406bf
"

# source_field NAME NUMBER: of its line above.
source_field() {
    awk -v name="$1" -v field="$2" '$1 == name { print $field }' <<<"$macos_sources"
}

# fetch_source NAME: prints a folder with its unpacked source; fails, silently, if it cannot be had.
fetch_source() {
    local path sum dir temp mirror

    path=$(source_field "$1" 3)
    sum=$(source_field "$1" 4)
    dir=${backplane_cache:?}/source-$1-$(source_field "$1" 2)-${sum:0:8}
    if [ ! -d "$dir" ]; then
        mkdir -p "$backplane_cache"
        temp=$(mktemp -d "$backplane_cache/.fetch.XXXXXX")
        say "fetching the source of $1 (${path##*/})"
        # The archives that apt takes packages from, security's among them, which has few of these.
        # shellcheck disable=SC2016  # apt's own variables
        for mirror in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u); do
            /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file \
                "${mirror%/}/pool/$path" "$temp/archive" "SHA256:$sum" </dev/null >/dev/null 2>&1 && break
        done
        mkdir "$temp/source"
        if ! tar -xf "$temp/archive" -C "$temp/source" --strip-components=1 2>/dev/null; then
            rm -rf "$temp"
            return 1
        fi
        mv -T "$temp/source" "$dir" 2>/dev/null || [ -d "$dir" ] || die "cannot create $dir"
        rm -rf "$temp"
    fi
    printf '%s\n' "$dir"
}

# compile_archive ARCH OUT FLAGS-AND-SOURCES...
compile_archive() {
    local arch=$1 out=$2 objects

    shift 2
    objects=$(mktemp -d "$out.XXXXXX")
    # Paths are absolute.
    (cd "$objects" && "$BACKPLANE_MACOS_TOOLS/cc-$arch" -O2 -fPIC -w -DNDEBUG -c "$@" &&
        "$BACKPLANE_MACOS_TOOLS/ar" rcs "$out" ./*.o) || return 1
    rm -rf "$objects"
}

# build_by_cmake ARCH SOURCE TO OPTION...: for libraries that ask the system much; the answers are the cross compiler's.
build_by_cmake() {
    local arch=$1 from=$2 to=$3 log=$3/log

    shift 3
    {
        cmake -S "$from" -B "$to/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/macos.cmake" \
            -DBACKPLANE_MACOS_ARCH="$arch" -DBACKPLANE_MACOS_TOOLS="$BACKPLANE_MACOS_TOOLS" \
            -DBACKPLANE_MACOS_PREFIX="$to" -DCMAKE_INSTALL_PREFIX="$to" -DCMAKE_INSTALL_LIBDIR=lib \
            -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF "$@" && cmake --build "$to/build" &&
            cmake --install "$to/build"
    } >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        return 1
    }
    rm -rf "$to/build" "$to/lib/pkgconfig" "$to/lib/cmake"
}

# With the capture module for BPF devices. Its grammar of filters is made by bison and flex. It would be built for all
# processors at once, unless it is told of one.
build_pcap() {
    need_packages bison flex
    build_by_cmake "$1" "$2" "$3" -DCMAKE_OSX_ARCHITECTURES="${1/aarch64/arm64}" -DPCAP_TYPE=bpf \
        -DCMAKE_C_FLAGS="-isystem $PWD/cmake/macos -w"
}

# build_library ARCH NAME SOURCE TO: headers in TO/include, archives in TO/lib.
build_library() {
    local arch=$1 from=$3 to=$4

    mkdir -p "$to"/{include,lib}
    case $2 in
    inih)
        cp "$from/ini.h" "$to/include/"
        compile_archive "$arch" "$to/lib/libinih.a" "$from/ini.c"
        ;;
    json-c) build_by_cmake "$arch" "$from" "$to" -DBUILD_TESTING=OFF -DBUILD_APPS=OFF -DDISABLE_WERROR=ON ;;
    pcap) build_pcap "$arch" "$from" "$to" ;;
    z)
        cp "$from"/{zlib,zconf}.h "$to/include/"
        compile_archive "$arch" "$to/lib/libz.a" -DHAVE_UNISTD_H "$from"/*.c
        ;;
    zstd)
        cp "$from"/lib/zstd*.h "$to/include/"
        compile_archive "$arch" "$to/lib/libzstd.a" -DZSTD_DISABLE_ASM -I"$from/lib" \
            "$from"/lib/{common,compress,decompress}/*.c
        ;;
    Zycore)
        cp -r "$from/include/Zycore" "$to/include/"
        compile_archive "$arch" "$to/lib/libZycore.a" -DZYCORE_STATIC_BUILD -I"$from/include" -I"$from/src" \
            "$from"/src/*.c "$from"/src/API/*.c
        ;;
    Zydis)
        cp -r "$from/include/Zydis" "$to/include/"
        compile_archive "$arch" "$to/lib/libZydis.a" -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -I"$from/include" \
            -I"$from/src" -I"$(fetch_source Zycore)/include" "$from"/src/*.c
        ;;
    *) return 1 ;;
    esac
}

# built_library ARCH NAME: prints the folder of the library, built now or before; status 3 if its source cannot be had.
built_library() {
    local arch=$1 name=$2 dir source temp sum

    source=$(fetch_source "$name") || return 3
    # Another compiler, source, or way to build is another library.
    sum=$({ declare -f compile_archive build_by_cmake build_pcap build_library && cat cmake/macos.cmake cmake/macos/*/*.h; } | sha256sum)
    dir=${backplane_cache:?}/macos-$arch-$name-$(source_field "$name" 2)-zig-${zig_version:?}-${sum:0:8}
    if [ ! -d "$dir" ]; then
        temp=$(mktemp -d "$backplane_cache/.build.XXXXXX")
        say "building $name $(source_field "$name" 2) for macOS on $arch"
        build_library "$arch" "$name" "$source" "$temp" || die "$name cannot be built for macOS on $arch: see above"
        mv -T "$temp" "$dir" 2>/dev/null || [ -d "$dir" ] || die "cannot create $dir"
        rm -rf "$temp"
    fi
    printf '%s\n' "$dir"
}

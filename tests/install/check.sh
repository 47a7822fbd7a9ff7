#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/install/check.sh CASE PREFIX [ARGUMENT]...: what an installed Backplane must be, in a prefix that was moved.
#
#   install BUILD             installs BUILD beside PREFIX and moves it there
#   files SOURCE              the public headers and no others; the library exports the embedding API and nothing else
#   manual                    the manual pages are there
#   program VERSION           the program finds its own plugins
#   pkg-config SOURCE PLUGINS shared|static    an embedding program, built with pkg-config alone, runs
#   cmake SOURCE PLUGINS GENERATOR             the same with find_package(backplane), and a plugin
#
# PLUGINS is the folder of the tests' fake CPU. Nothing of SOURCE is used but copies of the test's own files.
set -eu
case=$1 prefix=$2
shift 2
work=$(dirname "$prefix")/$case

unset BACKPLANE_PLUGIN_PATH
# An empty folder of our own: what a compiler brings along, a cache for one, makes there what it misses.
HOME=$(realpath "$(mktemp -d)")
trap 'rm -rf "$HOME"' EXIT
export HOME LC_ALL=C
PKG_CONFIG_PATH=$(find "$prefix" -name pkgconfig -type d 2>/dev/null || true)
export PKG_CONFIG_PATH

fail() {
    echo "$*"
    exit 1
}

# same EXPECTED GOT: two texts are equal.
same() {
    [ "$1" = "$2" ] && return
    printf 'expected:\n%s\ngot:\n%s\n' "$1" "$2"
    exit 1
}

fresh() {
    rm -rf "$work"
    mkdir -p "$work"
}

install_() {
    rm -rf "$prefix" "$prefix-first"
    mkdir -p "$(dirname "$prefix")"
    cmake --install "$1" --prefix "$prefix-first" >"$prefix.log" 2>&1 || {
        cat "$prefix.log"
        exit 1
    }
    mv "$prefix-first" "$prefix"
    # Neither the configured prefix nor the first one is written anywhere that people or programs read.
    ! grep -rIl -e "$prefix-first" "$prefix" || fail "these name the folder that was installed to"
}

files() {
    diff -r "$1/core/include/backplane" "$prefix/include/backplane"
    library=$(find "$prefix" -name libbackplane.so)
    same "$(sed -n 's/^BP_API .*\(bp_[a-z_]*\)(.*/\1/p' "$1/core/include/backplane/machine.h" | sort)" \
        "$(nm -D --defined-only "$library" | awk '{ print $3 }' | sort)"
    # In the archive the core's own symbols cannot be had from a shared library that it is linked into.
    library=$(find "$prefix" -name libbackplane.a)
    same "" "$(readelf -sW "$library" | awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" && $8 !~ /^bp_/')"
    for variable in plugindir abi_version; do
        [ -n "$(pkg-config --variable=$variable backplane)" ] || fail "backplane.pc has no variable $variable"
    done
    [ -e "$(pkg-config --variable=plugindir backplane)/dev-pc.so" ] || fail "plugindir has no dev-pc.so"
}

# Where the shells look, and the same as the installed program says.
completions() {
    for place in bash-completion/completions/backplane zsh/site-functions/_backplane \
        fish/vendor_completions.d/backplane.fish; do
        "$prefix/bin/backplane" completion "${place%%[-/]*}" | cmp - "$prefix/share/$place"
    done
}

manual() {
    for page in man1/backplane.1 man3/backplane-plugin.3 man5/machine.ini.5; do
        [ -e "$prefix/share/man/$page" ] || [ -e "$prefix/share/man/$page.gz" ] || fail "there is no manual page $page"
    done
}

program() {
    plugins=$(realpath "$(pkg-config --variable=plugindir backplane)")
    same "backplane $1, plugin ABI $(pkg-config --variable=abi_version backplane)" \
        "$("$prefix/bin/backplane" --version)"
    "$prefix/bin/backplane" plugins >"$prefix.plugins"
    for name in chr-host dev-pc dev-uart; do
        grep -q "^$name " "$prefix.plugins" || fail "\`backplane plugins\` does not list $name"
    done
    same "$plugins/dev-uart.so" "$("$prefix/bin/backplane" plugins show dev-uart --json |
        sed -n 's/^ *"\(file\|path\)": *"\(.*\)",*$/\2/p' | head -n 1)"
    # Through a symbolic link, as from /usr/local/bin, too; and the configured folder is not searched.
    ln -sf "$prefix/bin/backplane" "$prefix.link"
    same "plugin 'no-such' was not found; searched: $HOME/.local/lib/backplane/plugins, $plugins; \
install it, or name its folder with --plugin-path or BACKPLANE_PLUGIN_PATH" \
        "$("$prefix.link" plugins show no-such 2>&1 | sed 's/^[a-z: ]*plugin /plugin /')"
    # A program without its folder falls back on the configured one, and says so when it has nothing.
    mkdir -p "$prefix.alone"
    cp "$prefix/bin/backplane" "$prefix.alone/"
    "$prefix.alone/backplane" plugins show no-such >"$prefix.alone/said" 2>&1 && fail "no-such was found"
    ! grep -qF "$plugins" "$prefix.alone/said" || fail "a copy of the program finds what it should not"
}

pkg_config() {
    work=$work-$3
    fresh
    cp "$1/tests/install/embed.c" "$work/"
    # pkg-config quotes for a shell, so its output is words of a command.
    if [ "$3" = static ]; then
        flags=$(pkg-config --cflags --libs --static backplane | sed 's/-lbackplane/-l:libbackplane.a/')
    else
        flags="$(pkg-config --cflags --libs backplane) -Wl,-rpath,$(pkg-config --variable=libdir backplane)"
    fi
    eval "${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -o '$work/embed' '$work/embed.c' $flags"
    needs=$(readelf -d "$work/embed" | grep -c 'NEEDED.*libbackplane' || true)
    case $3-$needs in
    shared-1 | static-0) ;;
    *) fail "$3, but $needs entries NEED libbackplane.so" ;;
    esac
    "$work/embed" "$(pkg-config --variable=plugindir backplane)" "$2"
}

cmake_() {
    fresh
    cp "$1/tests/install/cmake/CMakeLists.txt" "$1/tests/install/embed.c" "$1/examples/scratch/scratch.c" "$work/"
    if ! {
        cmake -S "$work" -B "$work/build" -G "$3" -DCMAKE_PREFIX_PATH="$prefix" \
            -DCMAKE_C_COMPILER="${CC:-cc}" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" &&
            cmake --build "$work/build"
    } >"$work/log" 2>&1; then
        cat "$work/log"
        exit 1
    fi
    for kind in shared static; do
        "$work/build/embed-$kind" "$(cat "$work/build/plugindir")" "$2"
    done
    same bp_plugin_v0 "$(nm -D --defined-only "$work/build/dev-scratch.so" | awk '{ print $3 }')"
    "$prefix/bin/backplane" plugins show "$work/build/dev-scratch.so" >"$work/shown"
    grep -q '^dev-scratch ' "$work/shown" || fail "dev-scratch is not what it should be"
}

case $case in
install | cmake) "${case}_" "$@" ;;
pkg-config) pkg_config "$@" ;;
*) "$case" "$@" ;;
esac

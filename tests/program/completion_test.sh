#!/bin/bash
# SPDX-License-Identifier: MIT
#
# completion_test.sh bash|zsh|fish BACKPLANE PLUGINS: the script of `backplane completion SHELL` is without mistakes of
# syntax, and completes commands, options, and what options take, in that shell itself: in bash by calling the function
# that `complete` names, in zsh by calling it with what compsys would call, replaced by what prints, in fish by
# `complete -C`. Without the shell the test is skipped.
set -euo pipefail

shell=$1 backplane=$(realpath "$2") plugins=$(realpath "$3")
command -v "$shell" >/dev/null || {
    echo "skipped: $shell is not installed"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$backplane" completion "$shell" >"$work/script"
mkdir -p "$work/bin" "$work/home" "$work/here/folder"
ln -s "$backplane" "$work/bin/backplane"
touch "$work/here/machine.ini" "$work/here/mine.so" "$work/here/two words"
export PATH=$work/bin:$PATH BACKPLANE_PLUGIN_PATH=$plugins HOME=$work/home XDG_CONFIG_HOME=$work/home
unset XDG_DATA_DIRS
cd "$work/here"

"$shell" -n "$work/script"

# What can stand for the last word, a line each.
# shellcheck disable=SC2317 # called by a name that is put together
complete_bash() {
    bash -c '
        . "$1"
        shift
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        "$(complete -p backplane | sed "s/.*-F \([^ ]*\).*/\1/")" backplane "${COMP_WORDS[COMP_CWORD]}" x
        printf "%s\n" "${COMPREPLY[@]}"
    ' bash "$work/script" "$@" 2>"$work/errors"
}

# As compsys does, every match that begins with what is there. Its matches of files are asked for, and not made here.
# shellcheck disable=SC2317 # called by a name that is put together
complete_zsh() {
    # shellcheck disable=SC2016 # for zsh
    zsh -f -c '
        script=$1
        shift
        words=("$@")
        CURRENT=$#
        matching() { local m; for m; do [[ $m == ${words[CURRENT]##*=}* || $m == ${words[CURRENT]}* ]] && print -r -- $m; done; return 0 }
        compadd() { [[ $1 == -- ]] && shift; matching "$@" }
        compset() { :; }
        _describe() { [[ $1 == -o ]] && shift; local -a all; all=("${(@P)2}"); matching "${(@)all%%:*}" }
        _files() { local g="*"; [[ $1 == -g ]] && g="${2%%\(*}"; matching ${~g}(N) folder }
        _message() { :; }
        source $script
        _backplane
    ' zsh "$work/script" "$@" 2>"$work/errors"
}

complete_fish() {
    fish --no-config -c "source $work/script; complete -C '$*'" 2>"$work/errors" | cut -f 1
}

failed=0
# gives "WORDS" WORD...: among what completes these words, the last of which is typed so far, is each WORD; a WORD with a !
# before it is not.
gives() {
    local line=$1 said word words
    shift
    # `x` shields a last word that is empty.
    read -ra words <<<"${line}x"
    words[-1]=${words[-1]%x}
    if [ "$shell" = fish ]; then
        said=$(complete_fish "$line")
    else
        said=$("complete_$shell" "${words[@]}")
    fi
    for word in "$@"; do
        case $word in
        !*) ! grep -qxF -e "${word#!}" <<<"$said" && continue ;;
        *) grep -qxF -e "$word" <<<"$said" && continue ;;
        esac
        printf '%s: "%s" gives\n%s\nexpected: %s\n' "$shell" "$line" "$said" "$word"
        failed=1
    done
    [ ! -s "$work/errors" ] || {
        cat "$work/errors"
        failed=1
    }
}

gives "backplane ru" run !check
gives "backplane " run check plugins new help version img validate completion graph
gives "backplane run --kern" --kernel !--kind
gives "backplane check --re" '!--kernel'
gives "backplane validate --s" --seed --set !--serial
gives "backplane new plugin x --kind " device cpu service
gives "backplane new plugin x --language ru" rust '!c'
gives "backplane run --backend k" kvm !interp
gives "backplane validate x.so --check tr" traffic
gives "backplane plugins show dev-u" dev-uart !dev-pc
gives "backplane plugins " show
gives "backplane new " plugin
gives "backplane completion f" fish
gives "backplane graph --format s" svg
gives "backplane run mach" machine.ini
gives "backplane validate mi" mine.so
[ "$shell" = zsh ] || gives "backplane run --initrd two" "two words"
[ "$shell" = fish ] || gives "backplane run --net us" user
[ "$shell" != bash ] || gives "backplane run --nic = v" virtio
[ "$shell" != zsh ] || gives "backplane run --nic=v" virtio
[ "$shell" != fish ] || gives "backplane run --nic=v" --nic=virtio
exit "$failed"

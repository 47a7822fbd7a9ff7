#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Two who want the same package of an empty cache at the same time (scripts/lib.sh): one fetches it, the other waits for that
# and has it, too; where it cannot be had, both say so. APT and dpkg are stand-ins. usage: cache.sh
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin"

# Writes down that it was called, and takes until both of the two are there.
cat >"$dir/bin/apt-get" <<END
#!/bin/sh
echo "\$*" >>$dir/calls
i=0
until [ -e $dir/first ] && [ -e $dir/second ]; do
    i=\$((i + 1))
    [ \$i -lt 6000 ] || exit 100
    sleep 0.01
done
case \$* in
*download*sound*) : >package.deb ;;
*download*) exit 100 ;;
esac
END
cat >"$dir/bin/dpkg-deb" <<'END'
#!/bin/sh
echo content >"$3/file"
END
cat >"$dir/want" <<END
set -euo pipefail
. "$root/scripts/lib.sh"
as_root() { "\$@"; }
: >"$dir/\$1"
folder=\$(fetch_package "\$2")
cat "\$folder/file"
END
chmod +x "$dir"/bin/*
export PATH="$dir/bin:$PATH" BACKPLANE_CACHE=$dir/cache

# both PACKAGE STATUS SAID CALLS: each of the two ends with STATUS and has said SAID; APT was called so many times.
both() {
    local who status

    rm -f "$dir"/first "$dir"/second "$dir/calls"
    for who in first second; do
        { bash "$dir/want" "$who" "$1" >"$dir/$who.said" 2>/dev/null && echo 0 || echo $?; } >"$dir/$who.status" &
    done
    wait
    for who in first second; do
        status=$(cat "$dir/$who.status")
        if [ "$status" != "$2" ] || [ "$(cat "$dir/$who.said")" != "$3" ]; then
            printf '%s: the %s ended with status %s and said: %s\n' "$1" "$who" "$status" "$(cat "$dir/$who.said")"
            exit 1
        fi
    done
    if [ "$(wc -l <"$dir/calls")" != "$4" ]; then
        printf '%s: apt-get was called otherwise than %s times:\n' "$1" "$4"
        cat "$dir/calls"
        exit 1
    fi
}

both sound 0 content 1
# Tried, the lists refreshed, and tried again, by each.
both missing 1 '' 6
if [ "$(find "$BACKPLANE_CACHE" -mindepth 1 -maxdepth 1 ! -name '.*.lock' -printf '%f ')" != "sound " ]; then
    ls -A "$BACKPLANE_CACHE"
    echo "something else than the package is left in the cache"
    exit 1
fi

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# graph_test.sh BACKPLANE PLUGINS: `backplane graph` draws a machine: the tree to the letter; Graphviz's text with every
# section and link; SVG that is XML, with the same names. A machine with a mistake is not drawn.
set -euo pipefail

backplane=$(realpath "$1")
BACKPLANE_PLUGIN_PATH=$(realpath "$2")
export BACKPLANE_PLUGIN_PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
head -c 512 /dev/zero >guest.bin
cat >machine.ini <<'END'
[machine]
memory = 16M
cpus = 2
board = none

[boot]
binary = guest.bin

[terminal]
plugin = chr-host
model = null

[com1]
plugin = dev-uart
chardev = terminal

[com2]
plugin = dev-uart
port = 0x2f8
irq = 3

[debug]
plugin = dev-uart
model = mmio-console
END

diff -u - <("$backplane" graph machine.ini) <<'END'
machine: 16 MiB of RAM, 2 CPUs by auto
├─ com1: dev-uart 16550a, ports 0x3f8-0x3ff, interrupt 4
│  └─ chardev = terminal: chr-host null
├─ com2: dev-uart 16550a, ports 0x2f8-0x2ff, interrupt 3
└─ debug: dev-uart mmio-console, memory 0x9000000-0x9000fff

ports 0x2f8-0x2ff                    com2
ports 0x3f8-0x3ff                    com1
memory 0x9000000-0x9000fff           debug
interrupt 3                          com2
interrupt 4                          com1
END

diff -u - <("$backplane" graph --format dot machine.ini | grep -e '->') <<'END'
    "[]" -> "[com1]";
    "[com1]" -> "[terminal]" [label="chardev"];
    "[]" -> "[com2]";
    "[]" -> "[debug]";
END
if command -v dot >/dev/null; then
    "$backplane" graph --format dot machine.ini | dot -Tsvg >/dev/null
fi

"$backplane" graph --format svg machine.ini >machine.svg
python3 - <<'END'
import xml.etree.ElementTree as tree
root = tree.parse("machine.svg").getroot()
texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
boxes = len(list(root.iter("{http://www.w3.org/2000/svg}rect")))
assert boxes == 1 + 5, boxes
for wanted in ("com1: dev-uart 16550a", "terminal: chr-host null", "ports 0x3f8-0x3ff, interrupt 4", "interrupt 3", "chardev"):
    assert wanted in texts, (wanted, texts)
END

# refuses STATUS SENTENCE ARGUMENT...
refuses() {
    local status=0 said wanted=$1 sentence=$2

    shift 2
    said=$("$backplane" graph "$@" 2>&1) || status=$?
    [ "$status" = "$wanted" ] && grep -qF -e "$sentence" <<<"$said" && return
    printf 'graph %s: status %s, %s\nexpected status %s, %s\n' "$*" "$status" "$said" "$wanted" "$sentence"
    exit 1
}
refuses 2 '--format: "png" is none; expected tree, dot or svg' --format png machine.ini
refuses 2 "com2" --set com2.port=0x3f8 machine.ini
refuses 2 "there is no" --set com1.chardev=nowhere machine.ini
refuses 2 "--kind is for new" --kind device machine.ini

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Captures are read back by the programs that people will use: what tshark and capinfos make of directions, names,
# comments, times and counts. capture_sample.c says what is in the files.
# usage: read_back.sh CAPTURE-SAMPLE
set -euo pipefail

for tool in tshark capinfos; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: there is no $tool (package tshark)"
        exit 77
    fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# expect NAME: compares standard input with what comes by descriptor 3.
expect() {
    if ! diff -u <(cat <&3) - >"$scratch/diff"; then
        echo "$1 is not as expected:"
        cat "$scratch/diff"
        failed=1
    fi
}

"$1" "$scratch" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
}

fields() {
    tshark -n -r "$scratch/$1" -o udp.check_checksum:TRUE -T fields -E separator='|' -e frame.time_epoch -e frame.len \
        -e frame.interface_name -e frame.packet_flags_direction -e udp.srcport -e udp.checksum.status -e frame.comment \
        2>>"$scratch/log"
}
fields guest.pcapng | expect "guest.pcapng" 3<<'END'
1700000000.123456789|60|fake|0x00000002|1001|1|
1700000000.123456789|1514|fake|0x00000001|1002|1|
1700000001.623456791|61|fake|0x00000002|1004|1|
1700000001.623456791|100|fake|0x00000002|1005|1|checksum at byte 40 is to be filled in over 34 and up; to be cut into segments of 32 bytes (UDP)
END
fields guest.pcap | expect "guest.pcap" 3<<'END'
1700000000.123456789|60|||1001|1|
1700000000.123456789|1514|||1002|1|
1700000001.623456791|61|||1004|1|
1700000001.623456791|100|||1005|1|
END
fields time.pcapng | cut -d'|' -f1 | expect "times of time.pcapng" 3<<'END'
0.000000000
0.000000000
1.500000001
1.500000001
END

# Of what an adapter left to its network: with `segment`, no frame is above the MTU and no checksum is bad; without, the
# same packets are.
large='frame.len > 1514 || tcp.checksum.status == "Bad" || ip.checksum.status == "Bad"'
for name in whole cut; do
    tshark -n -r "$scratch/$name.pcapng" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -T fields -e frame.len \
        >"$scratch/all" 2>>"$scratch/log"
    tshark -n -r "$scratch/$name.pcapng" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y "$large" -T fields \
        -e frame.len >"$scratch/large" 2>>"$scratch/log"
    echo "$name: $(wc -l <"$scratch/all") frames, $(wc -l <"$scratch/large") of them large or bad"
done | expect "large packets" 3<<'END'
whole: 3 frames, 3 of them large or bad
cut: 45 frames, 0 of them large or bad
END

# Everything that a reader may complain of: malformed blocks, lengths.
if ! capinfos "$scratch/guest.pcapng" >"$scratch/infos" 2>&1; then
    echo "capinfos does not like guest.pcapng:"
    cat "$scratch/infos"
    failed=1
fi
keys='File type|File encapsulation|Capture application|Number of packets|Name|Description|Encapsulation|Time precision'
keys+='|Time ticks|Filter string|Number of stat entries|Interface'
grep -E "^ *($keys)" "$scratch/infos" |
    sed -E 's/[[:space:]]+/ /g; s/ $//' | expect "what capinfos says" 3<<'END'
File type: Wireshark/... - pcapng
File encapsulation: Ethernet
Number of packets: 4
Capture application: Backplane
Interface #0 info:
 Name = fake
 Description = link of a virtual machine; inbound is to the guest
 Encapsulation = Ethernet (1 - ether)
 Time precision = nanoseconds (9)
 Time ticks per second = 1000000000
 Filter string = udp
 Number of stat entries = 1
 Number of packets = 4
END
exit "$failed"

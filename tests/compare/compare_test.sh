#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# compare_test.sh BACKPLANE PLUGINS GUESTS: `backplane compare` finds what is wrong with cpu-seeded, at the instruction
# where it goes wrong; what it is told that makes no sense, it refuses.
set -euo pipefail

backplane=$1 plugins=$2 guests=$3
failed=0

# expect NAME STATUS TEXT WORD...: the command ends so, and says TEXT, whose lines are in one piece, on standard error.
expect() {
    local name=$1 status=$2 text=$3 got=0 said

    shift 3
    said=$(timeout 100 "$backplane" compare --plugin-path "$plugins" --set cpu.level=host "$@" 2>&1 >/dev/null </dev/null) ||
        got=$?
    if [ "$got" != "$status" ] || [[ "$said" != *"$text"* ]]; then
        printf '%s: status %s, expected %s; it said\n%s\nexpected\n%s\n' "$name" "$got" "$status" "$said" "$text"
        failed=1
    fi
}

# hello.asm sets up registers in 3 instructions, and REP OUTSB writes a byte each step after.
hello=$guests/hello.ini
SEED_STEP=1000 expect 'no difference' 0 'cpu-interp and cpu-seeded do the same for 28 instructions, and the guest has ended' \
    --backends interp,seeded "$hello"
SEED_STEP=10 expect 'a register' 16 'cpu-interp and cpu-seeded differ after step 10, at 0x7c09 (code f3 6e ' \
    --backends interp,seeded "$hello"
SEED_STEP=10 expect 'nothing else' 16 '
  rbx: 0x0 and 0x20000' --backends interp,seeded "$hello"
SEED_STEP=10 expect 'before it' 0 'do the same for 9 instructions' --backends interp,seeded --instructions 9 "$hello"
# The seventh letter of the text, step 10, is another one from step 5 on: what is written then differs, and no register.
SEED_STEP=5 SEED_GPA=0x7c19 expect 'a write' 16 'differ after step 10, at 0x7c09' --backends interp,seeded "$hello"
SEED_STEP=5 SEED_GPA=0x7c19 expect 'what is written' 16 ':
  the first writes port 0x3f8: 0x66, 1 bytes
  the second writes port 0x3f8: 0x67, 1 bytes' --backends interp,seeded "$hello"
SEED_STEP=5 SEED_GPA=0x7c19 expect 'a marker before it' 0 'do the same for 8 instructions' \
    --backends interp,seeded --until Hello "$hello"
# Far into a run that the turns are many of.
SEED_STEP=30000 expect 'a late one' 16 'differ after step 30000, at 0x' --backends interp,seeded "$guests/../isa/isa_exceptions.ini"

# FERR# goes to the interrupt controllers, and IGNNE# comes from them.
expect 'x87 errors by IRQ 13' 0 'instructions, and the guest has ended' --backends interp,interp "$guests/../isa/isa_ferr.ini"

# What fw_cfg writes, into two stretches of memory, is there for the second when the next instruction looks at it.
expect 'DMA' 0 'cpu-interp and cpu-interp do the same for ' --backends interp,interp "$guests/firmware.ini"

# Code in ROM is what it says, not what RAM has below it.
SEED_STEP=2 expect 'in ROM' 16 'differ after step 2, at 0x0 (code 8c c8 3d 00 f0 ' --backends interp,seeded "$guests/firmware.ini"

# A second that stands in a step.
SEED_STEP=10 SEED_STANDS=1 expect 'no step' 16 'cpu-interp and cpu-seeded differ after step 11, at 0x7c09 (code f3 6e ' \
    --backends interp,seeded --patience 1 "$hello"
SEED_STEP=10 SEED_STANDS=1 expect 'why' 16 '
  the second does not end this step within 1 seconds' --backends interp,seeded --patience 1 "$hello"

times=$guests/../compare/times.ini
expect 'the same text' 0 'cpu-interp and cpu-interp write the same' --serial-only --backends interp,interp "$times"
SEED_GPA=0x7c47 expect 'times are left out' 0 'write the same' --serial-only --backends interp,seeded "$times"
SEED_GPA=0x7c4f expect 'a letter is not' 16 'cpu-interp and cpu-seeded differ in line 1:
  first
  girst' --serial-only --backends interp,seeded "$times"
SEED_GPA=0x7c4f expect 'it must write the marker' 16 'under cpu-seeded the guest does not write "first"' \
    --serial-only --until first --backends interp,seeded "$times"

expect 'one backend' 2 'expected --backends FIRST,SECOND, as in --backends interp,kvm' --backends interp "$hello"
expect 'no backends' 2 'expected --backends FIRST,SECOND' "$hello"
expect 'unknown backend' 4 "'cpu-nonsense' was not found" --backends interp,nonsense "$hello"
expect 'several vCPUs' 2 'the machine has 3 vCPUs; a comparison is of one: --cpus 1' --backends interp,seeded \
    "$guests/smp32.ini"
expect 'counting text' 2 '--instructions needs instructions to be counted, which --serial-only does not' \
    --backends interp,seeded --serial-only --instructions 5 "$hello"
expect 'no time' 2 '--patience: expected at least one second' --backends interp,seeded --patience 0 "$hello"
expect 'a backend that cannot step' 4 'cpu-fake cannot step: it does not offer bp.debug/1' --backends interp,fake "$hello"
exit "$failed"

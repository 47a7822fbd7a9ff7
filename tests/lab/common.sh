# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the cases of the lab share; read by busybox's sh in the lab before each of them.
#
# Given from outside: $build, the build folder, at the same path as on the machine that built it;
# /lab/kernel-cloud, /lab/kernel-generic, /lab/guest.gz. Each case has an empty folder of its own, $PWD.

export BACKPLANE_PLUGIN_PATH="${build:?}/plugins"
program=$build/bin/backplane
# Seconds of silence. The processor is an emulated one and the machine under it shared: waits are for hangs only.
patience=120
# Named, and so not probed: the probe's 700 ms are by the clock, and where others use the machine the lab's KVM is too slow for
# them. boots/debian-ini has it probed, and cpu_kvm_probe.
# shellcheck disable=SC2034  # the cases use it
backend='--backend=kvm'
cmdline='console=ttyS0 panic=-1'

# console [-p] PROGRAM ARGUMENT...: runs the program with the console script on standard input.
console() {
    pipes=
    if [ "$1" = -p ]; then
        pipes=-p
        shift
    fi
    cat >console.script
    # shellcheck disable=SC2086
    lab-console $pipes -t "$patience" console.script "$@"
}

# debian KERNEL [OPTION...]: Debian's kernel and a busybox initramfs in the program, driven by the console
# script on standard input. More options of `backplane run` may follow; $cmdline may be changed before.
debian() {
    kernel=/lab/kernel-$1
    shift
    console "$program" run "$backend" --kernel "$kernel" --initrd /lab/guest.gz --cmdline "$cmdline" \
        --memory 256M "$@"
}

# answers CPUS COMMAND...: a machine that boots to the shell of /lab/guest.gz: types at it, sees its answers, puts a
# load on every CPU, leaves.
answers() {
    cpus=$1
    shift
    console "$@" <<END
expect GUEST-READY
expect #\\s
send echo \$((6*7))-is-the-answer\\r
expect 42-is-the-answer
expect #\\s
send echo nproc-\$(nproc) cpuinfo-\$(grep -c ^processor /proc/cpuinfo)\\r
expect nproc-$cpus cpuinfo-$cpus
expect #\\s
send for i in \$(seq 0 $((cpus - 1))); do taskset -c \$i sh -c 'n=0; while [ \$n -lt 3000 ]; do n=\$((n+1)); done; echo \$n' & done >load; wait; echo load-\$(grep -c 3000 load)-done\\r
expect load-$cpus-done
expect #\\s
send sh -c 'echo now-a""sleep; exec sleep 1000'\\r
expect now-asleep
send \\x03
expect #\\s
send echo after-ctrl-c-\$((40+2))\\r
expect after-ctrl-c-42
expect #\\s
send poweroff -f\\r
status 0
terminal same
never Kernel panic
never BUG:
END
}

# debian_answers KERNEL CPUS [OPTION...]: Debian's kernel does so.
debian_answers() {
    kernel=/lab/kernel-$1 cpus=$2
    shift 2
    answers "$cpus" "$program" run "$backend" --kernel "$kernel" --initrd /lab/guest.gz --cmdline "$cmdline" \
        --memory 256M --cpus "$cpus" "$@"
}

# fails_with STATUS TEXT COMMAND...: the command ends with that status, having said a line that is TEXT.
fails_with() {
    want=$1 text=$2
    shift 2
    "$@" >output 2>&1 </dev/null
    got=$?
    cat output
    if [ "$got" != "$want" ]; then
        echo "exit status $got, expected $want"
        return 1
    fi
    grep -qF -e "$text" output || {
        echo "expected to read: $text"
        return 1
    }
}

# traffic e1000|virtio [SIZE...]: tests/traffic under KVM, in sizes for a processor that is emulated unless others (see
# tests/traffic/host) are given. It is this process from then on, so that whoever ends the case ends it, with all that it
# has started.
traffic() {
    echo 'nameserver 127.0.0.1' >/etc/resolv.conf
    nic=$1
    shift
    exec sh /lab/traffic/host "${build:?}" /lab/traffic "$nic" kvm file=2 small=1 bulk=1 times=3 "$@"
}

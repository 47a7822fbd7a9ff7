# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The lab: a host with a real KVM on any machine. QEMU's TCG emulates AMD's SVM with nested paging, so that
# Debian's own kvm-amd module runs in it, with programs and their guests on top.
# Sourced after scripts/lib.sh, whose variables it uses. It proves what KVM's interface and AMD's architecture promise; neither
# timing nor a particular processor's errata.
#
#   lab_new DIR                        starts a lab's tree in DIR
#   lab_add DIR SOURCE DEST            puts a file into it
#   lab_add_program DIR SOURCE DEST    the same with the shared libraries that it needs, at their places
#   lab_add_qemu DIR                   puts Debian's QEMU into it, to compare with
#   lab_boot DIR [options]             boots it: runs DIR/root/lab/run; returns its exit status
#       --interactive                  with this terminal, instead of DIR/console.log
#       --memory MIB                   of the host, default 1024
#       --cpus N                       of the host, default 1: with two, guests stand still or die (see lab_boot)
#       --limit SECONDS                then it is ended, default 300; status 124
#       --fine-timers                  of the host, as real ones have; every other boot stands still (see lab_boot)
#       --qemu WORD                    one more word of QEMU's command line
# QEMU's own words are in DIR/qemu.log. After a boot DIR/result.log holds what was written to /dev/ttyS1 in the lab.

: "${backplane_root:?}"
lab_stands_still=650 # seconds; longer than any case may be silent

lab_new() {
    local dir=$1 kernel module

    rm -rf "$dir"
    mkdir -p "$dir"/root/{bin,dev,etc,lab/bin,lab/modules,proc,root,sys,tmp}
    cp "$(find_busybox)" "$dir/root/bin/busybox"
    cp "$backplane_root/tests/lab/init" "$dir/root/init"
    kernel=$(fetch_kernel cloud)
    for module in irqbypass kvm kvm-amd; do
        cp "$(kernel_module "$kernel" "$module")" "$dir/root/lab/modules/"
    done
    kernel_image "$kernel" >"$dir/kernel"
}

lab_add() {
    mkdir -p "$1/root/$(dirname "$3")"
    cp -L "$2" "$1/root/$3"
}

lab_add_program() {
    local dir=$1 library libraries

    lab_add "$@"
    libraries=$(ldd "$2" 2>/dev/null | sed -n 's/^.*[ \t]\(\/[^ ]*\) (0x.*$/\1/p') || true
    for library in $libraries; do
        [ -e "$dir/root$library" ] || lab_add "$dir" "$library" "$library"
    done
}

# What Debian's QEMU needs to run -M pc, q35 and microvm with KVM and -kernel, at its own places.
lab_add_qemu() {
    local dir=$1 name rom

    lab_add_program "$dir" "$(command -v qemu-system-x86_64)" /usr/bin/qemu-system-x86_64
    for name in bios-256k.bin bios-microvm.bin kvmvapic.bin linuxboot_dma.bin linuxboot.bin pvh.bin; do
        for rom in /usr/share/qemu/$name /usr/share/seabios/$name; do
            if [ -e "$rom" ]; then
                lab_add "$dir" "$rom" "/usr/share/qemu/$name"
            fi
        done
    done
}

# Waits for process PID, which writes DIR/console.log and result.log; ends it when nothing is written for longer than
# any case waits. Its status, or 124.
lab_watch() {
    local pid=$1 dir=$2 size='' now since=$SECONDS

    while kill -0 "$pid" 2>/dev/null; do
        now=$(stat -c %s "$dir/console.log" "$dir/result.log" 2>/dev/null | tr '\n' ' ')
        [ "$now" = "$size" ] || since=$SECONDS
        size=$now
        if [ $((SECONDS - since)) -gt "$lab_stands_still" ]; then
            kill "$pid"
            wait "$pid" || true
            return 124
        fi
        sleep 0.5
    done
    wait "$pid"
}

lab_boot() {
    local dir=$1 memory=1024 cpus=1 limit=300 interactive='' status=0 more=() timers='nohz=off highres=off'

    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --interactive) interactive=yes ;;
        --memory) memory=$2; shift ;;
        --cpus) cpus=$2; shift ;;
        --limit) limit=$2; shift ;;
        --fine-timers) timers= ;;
        --qemu) more+=("$2"); shift ;;
        *) die "lab_boot: unknown option $1" ;;
        esac
        shift
    done
    # Three faults of QEMU's emulation (7.2; docs/testing.md has how they were found) shape this command:
    # - VMRUN with an interrupt to inject leaves it in QEMU's exception_index: a kick of the virtual CPU that brings no
    #   interrupt of its own then delivers it again, whatever RFLAGS.IF says. Such kicks come from other virtual CPUs:
    #   hence one; and from timers that are set anew all the time, as fine ones are.
    # - VMRUN with V_IRQ set updates interrupt_request without QEMU's lock, and the host's timer interrupt that comes just
    #   then is lost. A one-shot timer is then never set again; a periodic one heals that at its next tick: hence nohz=off
    #   and highres=off.
    # - XSETBV in a guest does not exit to KVM: guests find XSAVE's area of a wrong size and do without it.
    # notests, mitigations and the TSC options shorten the boot of the emulated host; its guests keep theirs.
    local command=(qemu-system-x86_64 -accel tcg -cpu 'EPYC,+svm,+npt'
        -M pc -nodefaults -no-user-config -display none -no-reboot
        -m "$memory" -smp "$cpus" -kernel "$(cat "$dir/kernel")" -initrd "$dir/lab.cpio"
        -append "console=ttyS0 panic=-1 quiet cryptomgr.notests mitigations=off tsc=reliable no_timer_check $timers"
        -serial stdio -serial "file:$dir/result.log" ${more[@]+"${more[@]}"})
    rm -f "$dir/result.log"
    if [ -n "$interactive" ]; then
        : >"$dir/root/lab/interactive"
        pack_initramfs "$dir/root" "$dir/lab.cpio"
        "${command[@]}" 2>"$dir/qemu.log" || status=$?
    else
        rm -f "$dir/root/lab/interactive"
        pack_initramfs "$dir/root" "$dir/lab.cpio"
        timeout -k 5 "$limit" "${command[@]}" </dev/null >"$dir/console.log" 2>"$dir/qemu.log" &
        lab_watch $! "$dir" || status=$?
    fi
    rm -f "$dir/lab.cpio"
    if [ "$status" != 0 ]; then
        grep -v "TCG doesn't support requested feature" "$dir/qemu.log" >&2 || true
        return "$status"
    fi
    status=$(sed -n 's/^LAB-STATUS \([0-9]*\).*/\1/p' "$dir/result.log" | tail -n 1)
    if [ -z "$status" ]; then
        say "the lab ended without a result; its console is in $dir/console.log"
        return 125
    fi
    return "$status"
}

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures the software CPU beside QEMU's TCG and Bochs, side by side in one run, and prints a table for each part.

Counted is cpu time, user and system, of the emulator's whole process, looked at when a line of its guest comes out of
the serial port; wall time is only shown. Machines take turns, and a ratio is the median of the rounds' ratios, so that
what else the host does meanwhile falls on both sides of it.
"""
import argparse
import os
import pathlib
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

CMDLINE = "console=ttyS0 quiet panic=-1"
MEMORY_MIB = 512
GROUPS = ("int", "mem", "fp", "sys", "proc")
OURS, TCG, BOCHS, NATIVE = "Backplane", "QEMU TCG", "Bochs", "native"

# Bochs has no direct boot of a kernel: firmware and GRUB run first, and GRUB says when it is done. Debian's Bochs has
# its debugger built in, which waits for a command, and no display library `nogui`; `term` stays blank here.
# Linux would isolate its page tables on this model, which neither of the others makes it do: its command line has nopti.
BOCHSRC = """display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
megs: {memory}
cpu: model=corei7_sandy_bridge_2600k, count=1, ips=100000000, reset_on_triple_fault=0
clock: sync=none, time0=local
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
log: {log}
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
speaker: enabled=0
"""


class Run:
    """One run of a machine. marks: name to (cpu s, wall s) at a line; results: name of a benchmark to (cpu s, check)."""

    def __init__(self):
        self.marks, self.results, self.memory, self.output = {}, {}, None, b""
        self.cpu = self.wall = None

    def boot(self):
        """Cpu seconds to BOOT-OK: Bochs' without its firmware and loader."""
        if "BOOT-OK" not in self.marks:
            return None
        return self.marks["BOOT-OK"][0] - self.marks.get("LOADER-DONE", (0,))[0]

    def all(self):
        """Cpu seconds to the end of the process, if the guest got there."""
        if "BENCH-DONE" not in self.marks:
            return None
        return self.cpu - self.marks.get("LOADER-DONE", (0,))[0]

    def check(self, name):
        return self.results.get(name, (None, None))[1]

    def took(self, names):
        """Cpu seconds of some benchmarks, or nothing if one of them is missing."""
        if not all(name in self.results for name in names):
            return None
        return sum(self.results[name][0] for name in names)


def memory_of(pid):
    """(PSS, guest RAM's PSS) in MiB. Guest RAM is the mapping of just its size; nothing if there is none."""
    total, ram, size = 0, None, 0
    try:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total = int(re.search(r"^Pss: +(\d+)", rollup, re.M).group(1)) / 1024
        for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
            word = line.split()
            if word[0] == "Size:":
                size = int(word[1]) / 1024
            elif word[0] == "Pss:" and MEMORY_MIB <= size <= MEMORY_MIB + 1:
                ram = int(word[1]) / 1024
    except (OSError, AttributeError):
        return None
    return None if ram is None else (total, ram)


def run(command, limit, fifo=None, env=None):
    """Runs a machine to its end and takes its process's clock at each line that is a mark."""
    result, pending, started = Run(), b"", {}
    serial = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK) if fifo else None
    began = time.monotonic()
    # A session of its own: `term` would be stopped for writing to a terminal that is another's.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env, start_new_session=True,
                               stdout=subprocess.DEVNULL if fifo else subprocess.PIPE,
                               stderr=subprocess.DEVNULL if fifo else subprocess.STDOUT)
    # A process's cpu clock by its id: clock_getcpuclockid(3).
    clock, source = (~process.pid << 3) | 2, serial if fifo else process.stdout.fileno()
    ended = False
    while not ended:
        if time.monotonic() - began > limit:
            process.kill()
        if fifo:
            # Nobody has a FIFO open for writing before the machine has; its end is the process's.
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if not select.select([source], [], [], 0.01 if fifo else 1)[0]:
            continue
        try:
            data = os.read(source, 65536)
        except BlockingIOError:
            continue
        now = (time.clock_gettime(clock), time.monotonic() - began)
        if not data:
            ended = ended or not fifo
            if fifo:
                time.sleep(0.01)
            continue
        result.output += data
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            take(result, line.decode("latin-1"), now, started, process.pid)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    if fifo:
        os.close(serial)
    else:
        process.stdout.close()
    result.cpu, result.wall = usage.ru_utime + usage.ru_stime, time.monotonic() - began
    return result


def take(result, line, now, started, pid):
    mark = re.search(r"(BOOT-OK|LOADER-DONE|BENCH-DONE|BENCH-START|BENCH-END)(?: (\S+)(.*))?", line)
    if not mark:
        return
    kind, name, rest = mark.groups()
    if kind == "BENCH-START":
        started[name] = now
    elif kind == "BENCH-END":
        words = dict(word.split("=", 1) for word in rest.split() if "=" in word)
        if name in started and "check" in words:
            result.results[name] = (now[0] - started[name][0], words["check"])
            result.marks[name] = (now[0], now[1] - started[name][1])
    else:
        result.marks.setdefault(kind, now)
        if kind == "BOOT-OK":
            # Held while its memory is counted: the guest goes on to switch off.
            os.kill(pid, signal.SIGSTOP)
            result.memory = memory_of(pid)
            os.kill(pid, signal.SIGCONT)


class Machines:
    """Runs machines and remembers what they took: parts that need the same run share it."""

    def __init__(self, options, folder):
        self.options, self.folder, self.runs = options, folder, {}

    def names(self, *wanted):
        return [name for name in wanted if name != BOCHS or self.options.iso]

    def one(self, name, kernel, words, cpus):
        o, limit = self.options, (900 if name == BOCHS else 300) * self.options.scale
        cmdline = f"{CMDLINE} {words}".strip()
        image = dict(k.split("=", 1) for k in o.kernel)[kernel]
        initrd = dict(i.split("=", 1) for i in o.initrd)["guest" if words else "boot"]
        if name == OURS:
            return run([f"{o.build}/bin/backplane", "run", "--plugin-path", f"{o.build}/plugins", "--backend",
                        "interp", "--kernel", image, "--initrd", initrd, "--cmdline", cmdline, "--memory",
                        f"{MEMORY_MIB}M", "--cpus", str(cpus), "--no-reboot"], limit)
        if name == TCG:
            return run(["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-nodefaults", "-no-user-config",
                        "-display", "none", "-no-reboot", "-m", str(MEMORY_MIB), "-smp", str(cpus), "-kernel",
                        image, "-initrd", initrd, "-append", cmdline, "-serial", "stdio"], limit)
        iso = dict(i.split("=", 1) for i in o.iso)["guest" if words else "boot"]
        serial, bochsrc, commands = (f"{self.folder}/{n}" for n in ("serial", "bochsrc", "commands"))
        if not os.path.exists(serial):
            os.mkfifo(serial)
        pathlib.Path(bochsrc).write_text(BOCHSRC.format(memory=MEMORY_MIB, iso=iso, serial=serial,
                                                        log=f"{self.folder}/bochs.log"))
        pathlib.Path(commands).write_text("continue\n")
        return run(["bochs-bin", "-q", "-f", bochsrc, "-rc", commands], limit, serial, dict(os.environ, TERM="vt100"))

    def round(self, number, name, kernel="cloud", words="", cpus=1):
        key = (number, name, kernel, words, cpus)
        if key not in self.runs:
            result = self.one(name, kernel, words, cpus)
            if "BENCH-DONE" not in result.marks:
                tail = result.output.decode("latin-1").replace("\r", "")[-1500:]
                print(f"{name}, {kernel} kernel {words} {cpus} CPU: did not reach its end; its last words:\n{tail}",
                      file=sys.stderr)
            self.runs[key] = result
        return self.runs[key]

    def rounds(self, names, **how):
        """name to its runs, taken in turns."""
        runs = {name: [] for name in names}
        for number in range(self.options.rounds):
            for name in names:
                print(f"bench: round {number + 1} of {self.options.rounds}: {name} "
                      f"{' '.join(str(h) for h in how.values())}", file=sys.stderr)
                runs[name].append(self.round(number, name, **how))
        return runs


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def ratio(runs, peer, what):
    """The median of the rounds' ratios of ours to a peer's."""
    if peer not in runs:
        return None
    pairs = [(what(ours), what(theirs)) for ours, theirs in zip(runs[OURS], runs[peer])]
    return median([a / b for a, b in pairs if a is not None and b])


def shown(value, digits=2):
    return value if isinstance(value, str) else "-" if value is None else f"{value:,.{digits}f}"


def table(title, columns, rows):
    print(f"\n{title}")
    cells = [columns] + [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip())


def seconds(runs, names, what):
    return [median([what(r) for r in runs[name]]) if name in runs else None for name in names]


def boot(machines):
    rows, complete = [], True
    for kernel in dict(k.split("=", 1) for k in machines.options.kernel):
        names = machines.names(OURS, TCG, BOCHS) if kernel == "cloud" else [OURS, TCG]
        runs = machines.rounds(names, kernel=kernel)
        cloud = kernel == "cloud"
        for label, what in (("to BOOT-OK", Run.boot), ("to power-off", Run.all)):
            values = seconds(runs, (OURS, TCG, BOCHS), what)
            complete &= values[0] is not None and values[1] is not None
            rows.append([f"{kernel} {label}", ratio(runs, TCG, what), "<= 2.0" if cloud else "",
                         ratio(runs, BOCHS, what), "<= 0.4" if cloud else ""] + values)
    table(f"boot: cpu seconds, medians of {machines.options.rounds}, 1 vCPU, {MEMORY_MIB} MiB; "
          "Bochs without its firmware and loader",
          ["kernel", "to TCG", "goal", "to Bochs", "goal", OURS, TCG, BOCHS], rows)
    return complete


def native(machines, groups):
    runs = []
    for _ in range(machines.options.rounds):
        result = Run()
        for group in groups:
            text = subprocess.run([f"{machines.options.build}/bench-guest/bench-{group}",
                                   str(machines.options.scale)],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
            for name, cpu_ns, check in re.findall(r"BENCH-END (\S+) cpu_ns=(\d+) .*check=(\S+)", text):
                result.results[name] = (int(cpu_ns) / 1e9, check)
        runs.append(result)
    return runs


def wrong_checks(runs):
    """Says which checksums are not the native one's. True if none of ours is."""
    right = True
    for name, taken in runs.items():
        for bench in runs[NATIVE][0].results:
            checks = {r.check(bench) for r in taken} - {runs[NATIVE][0].check(bench), None}
            if checks:
                print(f"{name}: {bench} came to {', '.join(sorted(checks))}, natively "
                      f"{runs[NATIVE][0].check(bench)}: WRONG")
                right &= name != OURS
    return right


def guest(machines):
    words = f"bench={','.join(GROUPS)} scale={machines.options.scale}"
    runs = machines.rounds(machines.names(OURS, TCG, BOCHS), words=words)
    runs[NATIVE] = native(machines, GROUPS)
    benches = list(runs[NATIVE][0].results)
    goals = {f"{g} total": "< 1" for g in GROUPS} | {"all groups": "<= 0.6"}
    lines = [(f"  {b}", [b]) for b in benches]
    for group in reversed(GROUPS):
        own = [b for b in benches if b.startswith(f"{group}-")]
        lines.insert(max(i for i, l in enumerate(lines) if l[1][0] in own) + 1, (f"{group} total", own))
    lines.append(("all groups", benches))
    rows = []
    for label, names in lines:
        def what(result, names=names):
            return result.took(names)
        rows.append([label, ratio(runs, BOCHS, what), goals.get(label, ""), ratio(runs, TCG, what),
                     "< 1" if label == "fp total" else "", ratio(runs, NATIVE, what)] +
                    seconds(runs, (OURS, TCG, BOCHS, NATIVE), what))
    table(f"guest benchmarks: cpu seconds, medians of {machines.options.rounds}, 1 vCPU",
          ["benchmark", "to Bochs", "goal", "to TCG", "goal", "to native", OURS, TCG, BOCHS, NATIVE], rows)
    return wrong_checks(runs) and all(r.took(benches) is not None for n in (OURS, TCG) for r in runs[n])


def cpus(machines):
    words, rows, ratios, complete = f"bench=par scale={machines.options.scale}", [], {}, True
    right = {NATIVE: native(machines, ["par"])}
    for count in (1, 4):
        runs = machines.rounds([OURS, TCG], words=words, cpus=count)
        for label, what in ((f"par-int, {count} vCPU", lambda r: r.took(["par-int"])),
                            (f"boot, {count} vCPU", Run.boot)):
            key = label.split(",")[0]
            found = ratio(runs, TCG, what)
            complete &= found is not None
            goal = f"<= {shown(ratios[key])}" if ratios.get(key) and key == "par-int" else ""
            ratios.setdefault(key, found)
            mark = "par-int" if key == "par-int" else "BOOT-OK"
            rows.append([label, found, goal] + seconds(runs, (OURS, TCG), what) +
                        [median([r.marks.get(mark, (0, None))[1] for r in runs[n]]) for n in (OURS, TCG)])
        complete &= wrong_checks({OURS: runs[OURS], TCG: runs[TCG]} | right)
    table(f"vCPUs: cpu seconds, medians of {machines.options.rounds}; a host of {os.cpu_count()} CPUs; wall only shown",
          ["workload", "to TCG", "goal", OURS, TCG, f"{OURS} wall", f"{TCG} wall"], rows)
    return complete


def memory(machines):
    runs, rows = machines.rounds([OURS, TCG], kernel="cloud"), []
    for name in (OURS, TCG):
        seen = [r.memory for r in runs[name] if r.memory]
        rows.append([name, median([pss - ram for pss, ram in seen]), "<= 64" if name == OURS else "",
                     median([pss for pss, _ in seen]), median([ram for _, ram in seen])])
    table(f"memory at BOOT-OK, MiB, medians of {machines.options.rounds}, cloud kernel, {MEMORY_MIB} MiB of guest RAM",
          ["machine", "beyond guest RAM", "goal", "PSS", "guest RAM touched"], rows)
    return rows[0][1] is not None


def main():
    parts = {"boot": boot, "guest": guest, "cpus": cpus, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="build folder")
    parser.add_argument("--kernel", action="append", default=[], help="cloud=FILE or generic=FILE")
    parser.add_argument("--initrd", action="append", default=[], help="boot=FILE or guest=FILE")
    parser.add_argument("--iso", action="append", default=[], help="boot=FILE or guest=FILE, for Bochs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=1, help="multiplies the benchmarks' work")
    parser.add_argument("parts", nargs="+", choices=list(parts))
    options = parser.parse_args()
    complete = True
    with tempfile.TemporaryDirectory() as folder:
        machines = Machines(options, folder)
        for part in options.parts:
            complete &= parts[part](machines)
            sys.stdout.flush()
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())

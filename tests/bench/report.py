#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns what the benchmarks wrote into tables of medians, each figure beside its goal.

usage: report.py boot RESULT-LOG
       report.py exits LOG-HERE LOG-LAB
       report.py instructions FOLDER
       report.py capture FOLDER
       report.py disk TITLE LOG
       report.py net TITLE LOG
"""
import pathlib
import re
import statistics
import sys


def pairs(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def median(rows, key):
    values = [float(r[key]) for r in rows if key in r]
    return statistics.median(values) if values else None


def shown(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def boot(file):
    columns = [("marker_ms", 0), ("user_ms", 0), ("sys_ms", 0), ("exits", 0), ("io_exits", 0),
               ("mmio_exits", 0), ("halt_exits", 0), ("pf_taken", 0), ("rss_kib", 0), ("pss_kib", 0)]
    runs, lines = {}, {}
    for line in pathlib.Path(file).read_text(errors="replace").splitlines():
        word = line.split()
        if not word or word[0] != "BOOT":
            continue
        row = pairs(line)
        rows = runs.setdefault(word[1], [])
        if float(row.get("marker_ms", -1)) > 0:
            rows.append(row)
            lines.setdefault(row["line"], []).append(word[1])
        else:
            print(f"{word[1]}: a boot without its marker")
    print(f"{'median of':14}" + "".join(f"{name:>12}" for name, _ in columns))
    middle = {}
    for name, rows in runs.items():
        middle[name] = {key: median(rows, key) for key, _ in columns}
        label = f"{name} ({len(rows)})"
        print(f"{label:14.18}" + "".join(f"{shown(middle[name][key], d):>12}" for key, d in columns))
    for line, names in lines.items():
        print(f"/proc/cmdline of {', '.join(sorted(set(names)))}: {line.strip('_').replace('_', ' ')}")
    ours = middle.get("backplane")
    peers = [m["marker_ms"] for n, m in middle.items() if n != "backplane" and m["marker_ms"]]
    pc = middle.get("qemu-pc")
    if not ours or not ours["marker_ms"] or not peers or not pc:
        print("no comparison: a machine is missing")
        return
    print(f"time to the better peer's: {ours['marker_ms'] / min(peers):.2f} (goal: at most 0.80)")
    if ours["exits"] is not None and pc["exits"] is not None:
        print(f"exits: {shown(ours['exits'])} (goal: fewer than QEMU pc's, {shown(pc['exits'])} here, "
              "6,759 on record)")
        print(f"page faults: {shown(ours['pf_taken'])} (goal: fewer than QEMU pc's, "
              f"{shown(pc['pf_taken'])} here, 608 on record)")
    print(f"PSS without guest RAM: {ours['pss_kib'] / 1024:.1f} MiB (goal: at most 4)")


def exits(here, lab):
    for place, file in (("this machine", here), ("the lab", lab)):
        path = pathlib.Path(file)
        rows = [pairs(line) for line in path.read_text().splitlines()
                if line.startswith("EXIT ")] if path.exists() else []
        if not rows:
            print(f"{place}: not measured")
            continue
        for access in sorted({r["access"] for r in rows}):
            cost = {who: [float(r["cpu_ns"]) for r in rows if r["access"] == access and r["who"] == who]
                    for who in ("bare", "backplane")}
            # Each round measures one after the other: what else the machine does meanwhile hits both.
            ratios = [ours / bare for ours, bare in zip(cost["backplane"], cost["bare"])]
            text = f"{place}: {access}: bare {shown(statistics.median(cost['bare']))} ns"
            if ratios:
                text += (f", Backplane {shown(statistics.median(cost['backplane']))} ns of cpu; "
                         f"least {min(cost['backplane']) / min(cost['bare']):.2f}, median of "
                         f"{len(ratios)} rounds' ratios {statistics.median(ratios):.2f} "
                         "(goal: at most 1.10)")
            print(text)


def between(folder, name, few, many):
    """Instructions of one of what a run under callgrind does `few` times and another `many`."""
    def collected(n):
        text = (pathlib.Path(folder) / f"{name}-{n}.log").read_text()
        return int(re.search(r"Collected : (\d+)", text).group(1))

    return (collected(many) - collected(few)) / (many - few)


def instructions(folder):
    for space in ("pio", "mmio"):
        each = between(folder, f"instructions-{space}", 20000, 40000)
        print(f"{space}: {each:.0f} user-space instructions an access (goal: at most 300)")


def capture(folder):
    for length in (60, 1514, 65226):
        out, in_ = (between(folder, f"capture-{way}-{length}", 5000, 10000) for way in ("out", "in"))
        print(f"a frame of {length} bytes: {out:,.0f} user-space instructions out, {in_:,.0f} in, all threads")


DISK_OURS, DISK_PEERS = "backplane", ("qemu-threads", "qemu-io_uring")
# Unit, and what it is: the guest's own clock, cpu time of the process without what it takes when idle, that of its
# threads which run no guest, interrupts.
DISK_FIGURES = (("time", "us"), ("cpu", "cpu_us"), ("beside", "rest_us"), ("irqs", "irqs"))


def phases(file, wrong):
    """What each phase was about, its machine, name and figures (text); rounds without their end go to `wrong`."""
    for line in pathlib.Path(file).read_text(errors="replace").splitlines():
        word = line.split()
        if len(word) < 3 or word[0] != "PHASE":
            continue
        if word[2] == "failed":
            wrong.append(f"{word[1]}: a round without its end")
            continue
        about, machine = word[1].split("/")
        yield about, machine, word[2], pairs(line)


def disk_runs(file):
    """(image, phase) to machine to one dict of figures an operation for each round; and what was wrong."""
    runs, checks, idle, wrong = {}, {}, {}, []
    for image, machine, phase, figures in phases(file, wrong):
        row = {k: int(v) for k, v in figures.items() if k != "check"}
        if phase == "login":
            runs.setdefault((image, "login"), {}).setdefault(machine, []).append(
                {"us": row["wall_us"], "cpu_us": row["cpu_us"], "rest_us": row["rest_us"]})
            continue
        if phase == "idle":
            idle[image, machine] = row
            continue
        still = idle.get((image, machine))
        each = {"us": row["us"] / row["ops"], "irqs": row["irqs"] / row["ops"]}
        for key in ("cpu_us", "rest_us"):
            rest = row["wall_us"] * still[key] / still["wall_us"] if still else 0
            each[key] = (row[key] - rest) / row["ops"]
        runs.setdefault((image, phase), {}).setdefault(machine, []).append(each)
        checks.setdefault((image, phase), set()).add(figures["check"])
    wrong += [f"{' '.join(key)}: machines read different data: WRONG" for key, seen in checks.items() if len(seen) > 1]
    return runs, wrong


def disk(title, file):
    runs, wrong = disk_runs(file)
    print(f"\n{title}; Backplane / QEMU {' / '.join(p[5:] for p in DISK_PEERS)}, medians; the ratio is that to the "
          "better QEMU's")
    heads = [f"{name}" for name, _ in DISK_FIGURES]
    print(f"{'image':6} {'phase':13}" + "".join(f"{head:>24}  ratio" for head in heads))
    for (image, phase), machines in runs.items():
        cells, scale = [], 1e-6 if phase == "login" else 1
        for _, key in DISK_FIGURES:
            values = {m: median(rows, key) for m, rows in machines.items()}
            shown_values = " / ".join("-" if values.get(m) is None else f"{values[m] * scale:.{3 if key == 'irqs' else 1}f}"
                                      for m in (DISK_OURS,) + DISK_PEERS)
            ratios = []
            for peer in DISK_PEERS:
                # Rounds are taken in turns: what the host does meanwhile falls on both sides of a round's ratio.
                pairs_ = [a[key] / b[key] for a, b in zip(machines.get(DISK_OURS, []), machines.get(peer, []))
                          if key in a and b.get(key)]
                if pairs_:
                    ratios.append(statistics.median(pairs_))
            cells.append(f"{shown_values:>24}  {shown(max(ratios) if ratios else None, 2):>5}")
        print(f"{image:6} {phase:13}" + "".join(cells))
    for line in wrong:
        print(line)


# Unit of what one operation of each test is, and how many of it are in one.
NET_TESTS = {"tcp-out": ("Mbit", 8.388608), "tcp-in": ("Mbit", 8.388608), "udp-out": ("packets", 1), "udp-in": ("packets", 1)}


def net_runs(file):
    """(card, test) to machine to one dict of figures for each round; and what was wrong."""
    runs, idle, wrong = {}, {}, []
    for card, machine, phase, figures in phases(file, wrong):
        row = {k: float(v) for k, v in figures.items()}
        if phase == "idle":
            idle[card, machine] = row
            continue
        still = idle.get((card, machine))
        amount = row.get("ops", 0) * NET_TESTS[phase][1]
        if not amount or not row["us"]:
            wrong.append(f"{card}/{machine}: nothing was measured in {phase}")
            continue
        cpu = row["cpu_us"] - (row["wall_us"] * still["cpu_us"] / still["wall_us"] if still else 0)
        each = {"rate": amount / row["us"] * 1e6, "per cpu": amount / cpu * 1e6, "irqs": row["irqs"] / row["ops"],
                "lost": row.get("lost", 0) / (row.get("lost", 0) + row["ops"])}
        if "exits" in row:
            each["exits"] = row["exits"] / row["ops"]
        runs.setdefault((card, phase), {}).setdefault(machine, []).append(each)
    return runs, wrong


def net(title, file):
    """A table of rates, of rates for a second of the process's cpu time, and of exits and interrupts."""
    runs, wrong = net_runs(file)
    print(f"\n{title}: TCP in Mbit, datagrams that arrived; medians of rounds, ratios medians of rounds' own")

    def ratio(above, below, key):
        each = [a[key] / b[key] for a, b in zip(above, below) if b.get(key)]
        return f"{statistics.median(each):.2f}" if each else "-"

    def values(who, key, digits):
        return " / ".join(shown(median(who.get(name, []), key), digits) for name in ("backplane", "qemu", "qemu-vhost"))

    print(f"{'':16}{'a second: Backplane / QEMU / its vhost':>40}{'ratios':>12}"
          f"{'a cpu second':>32}{'ratios':>12}{'with a capture':>16}{'exits each':>22}{'interrupts each':>22}"
          f"{'lost':>20}")
    for (card, test), who in runs.items():
        ours, captured, qemu, vhost = (who.get(name, []) for name in ("backplane", "capture", "qemu", "qemu-vhost"))
        both = {key: f"{ratio(ours, qemu, key)}, {ratio(ours, vhost, key)}" for key in ("rate", "per cpu")}
        print(f"{card + ' ' + test:16}{values(who, 'rate', 0):>40}{both['rate']:>12}{values(who, 'per cpu', 0):>32}"
              f"{both['per cpu']:>12}{ratio(captured, ours, 'rate') + ', ' + ratio(captured, ours, 'per cpu'):>16}"
              f"{values(who, 'exits', 2):>22}{values(who, 'irqs', 2):>22}{values(who, 'lost', 3):>20}")
    for line in wrong:
        print(line)


if __name__ == "__main__":
    {"boot": boot, "capture": capture, "disk": disk, "exits": exits, "instructions": instructions,
     "net": net}[sys.argv[1]](*sys.argv[2:])

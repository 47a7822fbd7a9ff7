#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up what scripts/test ran, from the folder of its results.

    *.xml       JUnit files of ctest, named after the build (preset)
    checks.tsv  result, name and reason of the script's own checks

A ctest test that is a cmocka program counts as its cases; any other test counts as one. A case that was
skipped must have passed in another build or in the lab (test lab.GROUP.NAME runs NAME there); one that ran nowhere
counts as failed. Ends in "N passed, N failed, N skipped"; exit status 0 only if nothing failed.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
CASE = re.compile(r"^\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+)\s*$", re.MULTILINE)
WORDS = {"OK": PASSED, "FAILED": FAILED, "SKIPPED": SKIPPED}
IN_LAB = re.compile(r"^lab\.[^.]+\.(.+)$")


class Result:
    def __init__(self, place, test, case, result, reason=""):
        self.place, self.test, self.case = place, test, case
        self.result, self.reason = result, reason

    def key(self):
        return (self.test, self.case)

    def is_repeat(self):
        return bool(self.case) and (self.test == self.case or self.test.endswith("." + self.case))

    def __str__(self):
        return f"{self.place}: {self.test}" + (f" / {self.case}" if self.case else "")


def skip_reason(output, case):
    """The last line that the test printed before cmocka's word on the skipped case."""
    before = output[:output.index(case)].rstrip().splitlines() if case in output else []
    for line in reversed(before):
        if line.startswith("[ RUN") or line.startswith("[===") or CASE.match(line):
            break
        if line.strip() and not line.startswith("["):
            return line.strip()
    return "no reason given"


def read_test(place, node):
    name = node.get("name")
    output = (node.findtext("system-out") or "").replace("\r", "")
    status = node.get("status")
    in_lab = IN_LAB.match(name)
    if in_lab:
        name, place = in_lab.group(1), f"lab ({place})"
    cases = {}
    for word, case in CASE.findall(output):
        # A failed case is named again in cmocka's summary: the worst word counts.
        if cases.get(case) != FAILED:
            cases[case] = WORDS[word]
    if cases:
        for case, result in cases.items():
            reason = skip_reason(output, f"SKIPPED ] {case}") if result == SKIPPED else ""
            yield Result(place, name, case, result, reason)
        # The program itself may fail beyond its cases: a crash, a leak, a time-out.
        if status == "fail" and FAILED not in cases.values():
            yield Result(place, name, "", FAILED, "the program failed although its cases passed")
    elif status == "run":
        yield Result(place, name, "", PASSED)
    elif node.find("skipped") is not None and status != "fail":
        lines = [line for line in output.strip().splitlines() if not line.startswith("LAB-")]
        why = lines[-1] if lines else node.find("skipped").get("message", "")
        if "SKIP" in node.find("skipped").get("message", ""):
            yield Result(place, name, "", SKIPPED, why)
        else:
            yield Result(place, name, "", FAILED, f"not run: {why}")
    else:
        failure = node.find("failure")
        why = failure.get("message", "") if failure is not None else status
        yield Result(place, name, "", FAILED, why or "")


def main():
    folder = pathlib.Path(sys.argv[1])
    # Where what is skipped here does run, if this is only a part of the tests.
    elsewhere = sys.argv[2] if len(sys.argv) > 2 else None
    results = []
    for file in sorted(folder.glob("*.xml")):
        for node in xml.parse(file).getroot().iter("testcase"):
            results += read_test(file.stem, node)
    checks = folder / "checks.tsv"
    words = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
    for line in checks.read_text().splitlines() if checks.exists() else []:
        result, name, reason = line.split("\t")
        results.append(Result("checks", name, "", words[result], reason))

    # A case may be registered with ctest a second time, as CASE or PROGRAM.CASE: then it counts once.
    cases = {(r.place, r.case) for r in results if r.case and not r.is_repeat()}
    results = [r for r in results if not r.is_repeat() or (r.place, r.case) not in cases]

    ran = {}
    for r in results:
        if r.result == PASSED:
            ran.setdefault(r.key(), r.place)
    for r in results:
        if r.result == SKIPPED:
            where = ran.get(r.key())
            place = f"ran in {where}" if where else f"runs in {elsewhere}" if elsewhere else "RAN NOWHERE"
            print(f"skipped  {r}: {r.reason}; {place}")
            if not where and not elsewhere:
                r.result, r.reason = FAILED, "skipped, and ran nowhere else"
    for r in results:
        if r.result == FAILED:
            print(f"failed   {r}" + (f": {r.reason}" if r.reason else ""))
    count = {word: sum(r.result == word for r in results) for word in words.values()}
    print(f"{count[PASSED]} passed, {count[FAILED]} failed, {count[SKIPPED]} skipped")
    return 1 if count[FAILED] or not count[PASSED] else 0


if __name__ == "__main__":
    sys.exit(main())

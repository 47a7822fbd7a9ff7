#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tells which handlers of the software CPU no test has reached.

usage: coverage.py BUILD-FOLDER [--all]

BUILD-FOLDER was built with BACKPLANE_COVERAGE, and its tests were run: each process has left its counts in
BUILD-FOLDER/coverage. A handler that none of them reached must be in unreached.txt beside this file, in lines "NAME
REASON", where NAME may have the wildcards of a shell. Fails for one that is not, and for a line that fits no handler
or only handlers that were reached. --all prints every handler with its count.
"""
import collections
import fnmatch
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def symbols(path):
    """Names and addresses of the handlers in an object, or archive."""
    said = subprocess.run(['nm', '--defined-only', path], check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in 'tT' and words[2].startswith('op_'):
            yield words[2], int(words[0], 16)


def read_counts(folder):
    """Counts by name, from every file of the folder."""
    places = collections.Counter()
    for file in os.scandir(folder):
        with open(file.path, encoding='utf-8') as lines:
            for line in lines:
                path, offset, count = line.rsplit(' ', 2)
                places[path, int(offset, 16)] += int(count)
    counts, tables = collections.Counter(), {}
    for (path, offset), count in places.items():
        if path not in tables:
            tables[path] = {at: name for name, at in symbols(path)} if os.path.exists(path) else {}
        if offset in tables[path]:
            counts[tables[path][offset]] += count
    return counts


def read_list(path):
    with open(path, encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith('#'):
                name, _, reason = line.strip().partition(' ')
                if not reason:
                    sys.exit(f'{path}:{number}: {name} has no reason')
                yield number, name


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, every = sys.argv[1], '--all' in sys.argv[2:]
    folder = os.path.join(build, 'coverage')
    archive = os.path.join(build, 'plugins/cpu-interp/libinterp_engine.a')
    if not os.path.isdir(folder):
        sys.exit(f'{folder} does not exist: was this built with BACKPLANE_COVERAGE, and were its tests run?')
    names = sorted({name for name, _ in symbols(archive)})
    counts = read_counts(folder)
    if every:
        for name in names:
            print(f'{counts[name]:12} {name}')
    zero = {name for name in names if not counts[name]}
    path = os.path.join(HERE, 'unreached.txt')
    failed, known = False, set()
    for number, pattern in read_list(path):
        fitting = set(fnmatch.filter(zero, pattern))
        known |= fitting
        if not fitting:
            print(f'{path}:{number}: {pattern} fits no handler that is unreached: remove the line')
            failed = True
    for name in sorted(zero - known):
        print(f'{name} was never reached: a test is missing, or a line with a reason in unreached.txt')
        failed = True
    print(f'{len(names)} handlers, {len(names) - len(zero)} reached, {len(known)} unreached and listed')
    sys.exit(failed)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs clang-tidy over the sources of a build. usage: tidy.py [--list] BUILD-FOLDER JOBS REGEX

A source that several programs are made of is in the compilation database once for each of them, and clang-tidy looks at it
as often. Here it looks once at each text that the preprocessor makes of a source: another macro, another version of a
header is another text; another program that the object is for, or a macro that nothing asks for, is not. REGEX is matched
with the source's whole path. --list says how many times each source would be looked at, and ends.

Prints what clang-tidy says. Exit status 1 if it has something to say, or failed.
"""
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import sys

# Before this line of the preprocessor's output are macros of the compiler's and of the command line's. Those that matter
# show in the text; what they are made from is compared as arguments.
BUILT_IN_ENDS = b'# 1 "<built-in>" 2\n'
WITH_VALUE = ("-o", "-MF", "-MT")


def arguments(entry):
    """The compiler's arguments but those that say where the output goes, or whether the code may be moved."""
    rest = iter(entry.get("arguments") or shlex.split(entry["command"]))
    for word in rest:
        if word in WITH_VALUE:
            next(rest)
        elif word not in ("-c", "-MD", "-fPIC", "-fPIE"):
            yield word


def others(words):
    """Those arguments whose effect does not show in the preprocessor's output."""
    rest = iter(words)
    for word in rest:
        if word in ("-isystem", "-I", "-D"):
            next(rest)
        elif not word.startswith(("-D", "-I")):
            yield word


def preprocessed(entry, words):
    """What clang's preprocessor makes of it, with the macros that are defined on the way: a digest of that. Where it
    finds a fault, which is then clang-tidy's to tell, the arguments."""
    # The first words are the compiler, after a launcher. Warnings are not of this step.
    first = next(i for i, word in enumerate(words) if word.startswith("-"))
    words = [word for word in words[first:] if not word.startswith("-W")]
    done = subprocess.run(["clang", "-E", "-dD", "-w", *words], cwd=entry["directory"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0 or BUILT_IN_ENDS not in done.stdout:
        return tuple(words)
    return hashlib.sha256(done.stdout.partition(BUILT_IN_ENDS)[2]).digest()


def variants(entries, pool):
    """Of entries of one source those that differ for clang-tidy."""
    by_words = {}
    for entry in entries:
        by_words.setdefault(tuple(arguments(entry)), entry)
    if len(by_words) == 1:
        return list(by_words.values())
    texts = pool.map(preprocessed, by_words.values(), by_words)
    by_text = {}
    for (words, entry), text in zip(by_words.items(), texts):
        by_text.setdefault((*others(words), text), entry)
    return list(by_text.values())


def look_at(folder, name):
    """Prints what clang-tidy says of a source. Whether that is nothing."""
    done = subprocess.run(["clang-tidy", "-quiet", f"-p={folder}", name], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    sys.stdout.write(done.stdout.decode(errors="replace"))
    return done.returncode == 0


def main():
    words = sys.argv[1:]
    only_list = words[:1] == ["--list"]
    build, jobs, regex = words[only_list:]
    sources = {}
    for entry in json.loads(pathlib.Path(build, "compile_commands.json").read_text()):
        if re.search(regex, entry["file"]):
            sources.setdefault(entry["file"], []).append(entry)
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        kept = {name: variants(entries, pool) for name, entries in sources.items()}
        if only_list:
            for name, entries in sorted(kept.items()):
                print(len(entries), name)
            return 0
        folder = pathlib.Path(build, "tidy")
        folder.mkdir(exist_ok=True)
        database = [entry for entries in kept.values() for entry in entries]
        (folder / "compile_commands.json").write_text(json.dumps(database))
        # What takes longest is begun first, so that no processor waits for it at the end.
        names = sorted(kept, key=lambda name: -len(kept[name]) * pathlib.Path(name).stat().st_size)
        clean = list(pool.map(look_at, [folder] * len(names), names))
    return 0 if clean and all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())

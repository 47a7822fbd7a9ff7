#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How ctest would run some of its tests, for a place without ctest.

usage: commands.py BUILD-FOLDER FILES COMMANDS NAME...

Writes to COMMANDS a line "NAME SHELL-COMMAND" for each test, with its folder and environment; and to FILES the
paths that it needs beyond the build's own program and plugins: the files that its command names, and those that
stand in the folder it runs in. Fails if ctest does not know one of the names.
"""
import json
import os
import shlex
import subprocess
import sys


def main():
    build, files_path, commands_path, *names = sys.argv[1:]
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                           capture_output=True, text=True).stdout
    tests = {test["name"]: test for test in json.loads(shown)["tests"]}
    files = set()
    with open(commands_path, "w", encoding="utf-8") as commands:
        for name in names:
            if name not in tests or "command" not in tests[name]:
                sys.exit(f"commands.py: ctest has no command for a test {name}")
            test = tests[name]
            properties = {p["name"]: p["value"] for p in test["properties"]}
            folder = properties.get("WORKING_DIRECTORY", build)
            environment = properties.get("ENVIRONMENT", [])
            line = " ".join(shlex.quote(word) for word in ["env", *environment, *test["command"]])
            commands.write(f"{name} cd {shlex.quote(folder)} && {line}\n")
            files.update(word for word in test["command"] if os.path.isfile(word))
            files.update(entry.path for entry in os.scandir(folder) if entry.is_file())
    with open(files_path, "w", encoding="utf-8") as out:
        out.writelines(f"{path}\n" for path in sorted(files))


if __name__ == "__main__":
    main()

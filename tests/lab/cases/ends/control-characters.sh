# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# What ends or stops a program at a terminal is the guest's: Ctrl-C, Ctrl-Z, Ctrl-D, Ctrl-\.
console "$program" run "$build/tests/guest/echo.ini" <<'END'
expect echo: ready
send a\x03b\x1ac\x04d\x1ce
expect a\x03b\x1ac\x04d\x1ce
send q
expect echo: done
status 1
terminal same
END

# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# Ctrl-A x leaves: status 0, and the terminal is as it was. Ctrl-A Ctrl-A is one Ctrl-A for the guest.
console "$program" run "$build/tests/guest/echo.ini" <<'END'
expect echo: ready
terminal raw
send abc\x01\x01def
expect abc\x01def
send \x01x
status 0
terminal same
never echo: done
END

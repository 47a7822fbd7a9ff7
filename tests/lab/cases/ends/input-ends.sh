# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# Standard input that is a pipe may end: the guest has got all of it, and runs on.
console -p "$program" run "$build/tests/guest/echo.ini" <<'END'
expect echo: ready
send 0123456789012345678901234567890123456789q
eof
expect 0123456789012345678901234567890123456789
expect echo: done
status 1
END

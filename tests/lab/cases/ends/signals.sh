# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A signal that ends the program gives 128 + its number, and the terminal back.
for signal in HUP:129 INT:130 QUIT:131 TERM:143; do
    console "$program" run "$build/tests/guest/echo.ini" <<END || exit
expect echo: ready
terminal raw
signal ${signal%:*}
status ${signal#*:}
terminal same
END
done

# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A machine file with an error does not start: status 2.
printf '[machine]\nmemry = 16M\n' >bad.ini
fails_with 2 'bad.ini:2' "$program" run bad.ini

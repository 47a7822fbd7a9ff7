# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A plugin that is nowhere: status 4.
printf '[machine]\nmemory = 16M\n[boot]\nbinary = bad.ini\n[nic]\nplugin = dev-nonesuch\n' >bad.ini
fails_with 4 'dev-nonesuch' "$program" run bad.ini

# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# Debian's generic kernel boots on 1 vCPU(s) to a shell that answers what is typed; power-off ends with status 0.
# It does not prove anything of disks, networks or real-time behaviour.
debian_answers generic 1

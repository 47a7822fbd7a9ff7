# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A triple fault ends the program with status 12 and the registers of the vCPU. (On an AMD processor KVM has reset them
# by then, so that their values prove nothing.)
fails_with 12 'triple fault at rip 0x' "$program" run "$build/tests/guest/triple_fault.ini"

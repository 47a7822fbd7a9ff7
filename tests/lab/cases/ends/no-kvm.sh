# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# Without /dev/kvm no CPU backend is left: status 4 and one sentence.
mv /dev/kvm /dev/kvm-away
fails_with 4 '/dev/kvm' "$program" run "$build/tests/guest/echo.ini"
status=$?
mv /dev/kvm-away /dev/kvm
exit "$status"

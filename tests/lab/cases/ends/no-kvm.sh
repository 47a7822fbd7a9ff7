# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# Without /dev/kvm: who names cpu-kvm reads one sentence, status 4; `auto` says so and takes the software CPU.
mv /dev/kvm /dev/kvm-away
fails_with 4 '/dev/kvm' "$program" run --backend kvm "$build/tests/guest/echo.ini" &&
    console "$program" run "$build/tests/guest/echo.ini" <<'END'
expect the CPU backend is cpu-interp; passed over: cpu-kvm
expect echo: ready
send abc
expect abc
send \x01x
status 0
terminal same
END
status=$?
mv /dev/kvm-away /dev/kvm
exit "$status"

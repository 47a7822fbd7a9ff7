# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A user who may not open /dev/kvm reads which group to join: status 4.
chown 0:104 /dev/kvm
chmod 660 /dev/kvm
chmod 777 .
fails_with 4 'group kvm' su someone -c "BACKPLANE_PLUGIN_PATH=$BACKPLANE_PLUGIN_PATH $program run --backend kvm $build/tests/guest/echo.ini"

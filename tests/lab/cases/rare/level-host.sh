# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# All that the backend offers.
debian_answers cloud 1 --level host

# SPDX-License-Identifier: MIT
#
# tests/abi/future.awk - a public header as a later minor version could have it: every table that carries
# its size, or whose readers carry its stride, has one member more at its end.
#
#     awk -f future.awk core/include/backplane/host.h > future/backplane/host.h
#
# bp_frame is left as it is: send() takes an array of it without a stride.

/^struct bp_[a-z0-9_]+ \{/ {
    grows = $2 == "bp_prop" || $2 == "bp_field" || $2 == "bp_register"
    calls = 0
    first = 1
    fixed = $2 == "bp_frame"
}

# The member after the opening line decides.
first && /;/ {
    if ($0 ~ /uint32_t size;/)
        grows = 1
    first = 0
}

/\(\*/ { calls = 1 }

/^};/ && grows {
    if (!fixed)
        print calls ? "    void (*future)(void);" : "    uint64_t future;"
    grows = 0
}

/^#define BP_ABI_MINOR / {
    print "#define BP_ABI_MINOR (" $3 " + 1u)"
    print "#define BP_FUTURE 1"
    next
}

{ print }

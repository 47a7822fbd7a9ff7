# SPDX-License-Identifier: MIT
#
# tests/abi/explain.awk - what changed from one layout of the public headers to another, a sentence each, and whether it may
# under one major number (backplane/abi.h, rules 1 and 2).
#
#     awk -f explain.awk layout.golden layout.now

FNR == 1 { file++ }

$1 == "struct" {
    type = $2
    size[file, type] = $3
    if (!((1, type) in size) || file == 1)
        types[++type_count] = type
    next
}

$1 == "constant" {
    value[file, $2] = $3
    if (file == 1 || !((1, $2) in value))
        constants[++constant_count] = $2
    next
}

NF {
    key = type "." $1
    at[file, key] = $2
    bytes[file, key] = $3
    line = $0
    sub(/^ *[^ ]+ +[0-9]+ +[0-9]+ */, "", line)
    kind[file, key] = line
    if (file == 1 || !((1, key) in at)) {
        keys[++key_count] = key
        owner[key] = type
    }
}

function allowed(text) { print "  allowed:     " text }
function forbidden(text) { print "  NOT allowed: " text; bad++ }

END {
    for (i = 1; i <= type_count; i++) {
        t = types[i]
        if (!((2, t) in size))
            forbidden("struct " t " is gone")
        else if (!((1, t) in size))
            allowed("struct " t " is new")
        else if (size[2, t] < size[1, t])
            forbidden("struct " t " has " size[2, t] " bytes, and had " size[1, t])
    }
    for (i = 1; i <= key_count; i++) {
        k = keys[i]
        t = owner[k]
        if (!((1, t) in size) || !((2, t) in size))
            continue
        if (!((2, k) in at))
            forbidden(k " is gone" (k ~ /\.reserved/ ? "; a reserved member may become one that 0 means nothing for" : ""))
        else if (!((1, k) in at)) {
            if (at[2, k] >= size[1, t])
                allowed(k " (" kind[2, k] ") was appended at byte " at[2, k])
            else
                forbidden(k " is new at byte " at[2, k] ", inside of what was there; append it")
        } else if (at[1, k] != at[2, k])
            forbidden(k " moved from byte " at[1, k] " to " at[2, k])
        else if (bytes[1, k] != bytes[2, k])
            forbidden(k " has " bytes[2, k] " bytes, and had " bytes[1, k])
        else if (kind[1, k] != kind[2, k])
            forbidden(k " is " kind[2, k] ", and was " kind[1, k] " (names of parameters apart)")
    }
    for (i = 1; i <= constant_count; i++) {
        c = constants[i]
        if (!((2, c) in value))
            forbidden(c " is gone")
        else if (!((1, c) in value))
            allowed(c " is new: " value[2, c])
        else if (value[1, c] != value[2, c] && c == "BP_ABI_MINOR")
            allowed(c " is " value[2, c] ", and was " value[1, c])
        else if (value[1, c] != value[2, c])
            forbidden(c " is " value[2, c] ", and was " value[1, c])
    }
    exit bad > 0
}

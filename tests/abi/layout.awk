# SPDX-License-Identifier: MIT
#
# tests/abi/layout.awk - from the public headers, a C program that prints the offset and size of every member.
#
#     awk -v folder=core/include -f layout.awk core/include/backplane/abi.h ... > layout.c
#
# It knows the shape of these headers only: `struct bp_name {` members `};`, no struct inside a struct, one
# member or several with commas, function pointers, arrays. Comments and the preprocessor are dropped.

FNR == 1 {
    name = substr(FILENAME, length(folder) + 2)
    includes = includes "#include <" name ">\n"
}

# Preprocessor lines with their continuations.
continued || /^#/ {
    continued = /\\$/
    next
}

{ text = text " " $0 }

function member(s, name, n, parts, i) {
    if (match(s, /\(\*[a-z0-9_]+\)/)) {
        emit(substr(s, RSTART + 2, RLENGTH - 3))
        return
    }
    n = split(s, parts, ",")
    for (i = 1; i <= n; i++) {
        name = parts[i]
        sub(/\[.*$/, "", name)
        sub(/[ \t]+$/, "", name)
        sub(/^.*[ \t*]/, "", name)
        emit(name)
    }
}

function emit(name) {
    body = body "    printf(\"    %-24s %5zu %5zu\\n\", \"" name "\", offsetof(struct " type ", " name \
           "), sizeof(((struct " type " *)0)->" name "));\n"
}

END {
    while ((at = index(text, "/*")) > 0) {
        rest = substr(text, at + 2)
        text = substr(text, 1, at - 1) " " substr(rest, index(rest, "*/") + 2)
    }
    while (match(text, /struct bp_[a-z0-9_]+ +\{/)) {
        head = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        split(head, words, " ")
        type = words[2]
        end = index(text, "}")
        inside = substr(text, 1, end - 1)
        text = substr(text, end + 1)
        body = body "    printf(\"struct %-23s       %5zu\\n\", \"" type "\", sizeof(struct " type "));\n"
        n = split(inside, members, ";")
        for (i = 1; i < n; i++)
            member(members[i])
        structs++
    }
    if (!structs) {
        print "layout.awk: no structs found" > "/dev/stderr"
        exit 1
    }
    printf "%s#include <stddef.h>\n#include <stdio.h>\n\nint main(void)\n{\n%s    return 0;\n}\n", includes, body
}

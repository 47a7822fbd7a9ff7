# SPDX-License-Identifier: MIT
#
# tests/abi/layout.awk - from the public headers, a C program that prints offset, size and type of every member, and the
# value of every constant.
#
#     awk -v folder=core/include -f layout.awk core/include/backplane/abi.h ... > layout.c
#
# It knows the shape of these headers only: `struct bp_name {` members `};`, no struct inside a struct, one
# member or several with commas, function pointers, arrays; `#define BP_NAME` with a number or a string, on the same line or
# the next. Comments and the rest of the preprocessor are dropped.

FNR == 1 {
    name = substr(FILENAME, length(folder) + 2)
    includes = includes "#include <" name ">\n"
}

# Preprocessor lines with their continuations.
continued || /^#/ {
    if (/^#define BP_[A-Z0-9_]+([ \t]|$)/) {
        constant = $2
        value = $0
        sub(/^#define BP_[A-Z0-9_]+[ \t]*/, "", value)
    } else if (continued && constant != "") {
        value = $0
        sub(/^[ \t]+/, "", value)
    }
    if (constant != "" && value !~ /^\\?$/) {
        if (value ~ /^"/)
            constants = constants "    printf(\"constant %-40s %s\\n\", \"" constant "\", " constant ");\n"
        else if (value ~ /^([0-9]|UINT)/)
            constants = constants "    printf(\"constant %-40s 0x%llx\\n\", \"" constant "\", (unsigned long long)" constant ");\n"
        constant = ""
    }
    continued = /\\$/
    if (!continued)
        constant = ""
    next
}

{ text = text " " $0 }

# "uint64_t (*read)(void *self, uint32_t width)" without the member's name, and blanks as few as may be.
function signature(s) {
    gsub(/[ \t]+/, " ", s)
    gsub(/^ | $/, "", s)
    sub(/\(\*[a-z0-9_]+\)/, "(*)", s)
    return s
}

function member(s, name, n, parts, i, base) {
    if (match(s, /\(\*[a-z0-9_]+\)/)) {
        name = substr(s, RSTART + 2, RLENGTH - 3)
        emit(name, signature(s))
        return
    }
    n = split(s, parts, ",")
    base = s
    for (i = 1; i <= n; i++) {
        name = parts[i]
        sub(/\[.*$/, "", name)
        sub(/[ \t]+$/, "", name)
        if (i == 1) {
            base = name
            sub(/[a-z0-9_]+$/, "", base)
            gsub(/[ \t]+/, " ", base)
            gsub(/^ | $/, "", base)
        }
        sub(/^.*[ \t*]/, "", name)
        emit(name, base)
    }
}

function emit(name, kind) {
    body = body "    printf(\"    %-24s %5zu %5zu  %s\\n\", \"" name "\", offsetof(struct " type ", " name \
           "), sizeof(((struct " type " *)0)->" name "), \"" kind "\");\n"
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
    printf "%s#include <stddef.h>\n#include <stdio.h>\n\nint main(void)\n{\n%s%s    return 0;\n}\n", includes, body, constants
}

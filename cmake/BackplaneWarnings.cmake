# Warnings, sanitizers and definitions that all of Backplane's own targets share.
add_library(backplane_options INTERFACE)
target_compile_options(backplane_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wvla -Wstrict-prototypes
    -Wpointer-arith -Wundef -Werror -fno-common)
target_compile_definitions(backplane_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
if(BACKPLANE_SANITIZE)
    target_compile_options(backplane_options INTERFACE -fsanitize=${BACKPLANE_SANITIZE}
        -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(backplane_options INTERFACE -fsanitize=${BACKPLANE_SANITIZE})
endif()

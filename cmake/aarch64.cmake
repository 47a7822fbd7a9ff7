# Toolchain of preset aarch64: Debian's cross compiler, with headers and libraries of arm64's packages in a folder
# of their own, which scripts/cross-aarch64 fetches; what is built runs by QEMU's user mode.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# Projects of CMake's own checks read this file too, and know only what they are handed.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BACKPLANE_SYSROOT)
if(NOT IS_DIRECTORY "${BACKPLANE_SYSROOT}/usr/include")
    message(FATAL_ERROR "preset aarch64 needs a sysroot, and BACKPLANE_AARCH64_SYSROOT names none: "
        "run scripts/cross-aarch64, which fetches one")
endif()
set(CMAKE_SYSROOT ${BACKPLANE_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${CMAKE_SYSROOT})

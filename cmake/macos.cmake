# Toolchain of presets macos-x86_64 and macos-aarch64: zig's C compiler, which carries Darwin's libc headers, and stubs
# of libraries, both of which scripts/cross-macos brings. What is built is linked, and cannot run here.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR ${BACKPLANE_MACOS_ARCH})
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BACKPLANE_MACOS_ARCH BACKPLANE_MACOS_TOOLS BACKPLANE_MACOS_PREFIX)
if(NOT EXISTS "${BACKPLANE_MACOS_TOOLS}/cc-${BACKPLANE_MACOS_ARCH}")
    message(FATAL_ERROR "the presets for macOS need a compiler, and BACKPLANE_MACOS_TOOLS names none: "
        "run scripts/cross-macos, which fetches one")
endif()
set(CMAKE_C_COMPILER ${BACKPLANE_MACOS_TOOLS}/cc-${BACKPLANE_MACOS_ARCH})
set(CMAKE_AR ${BACKPLANE_MACOS_TOOLS}/ar CACHE FILEPATH "")
set(CMAKE_RANLIB ${BACKPLANE_MACOS_TOOLS}/ranlib CACHE FILEPATH "")
# The linker writes install names; nothing here changes them afterwards.
set(CMAKE_INSTALL_NAME_TOOL /bin/true CACHE FILEPATH "")
set(CMAKE_OSX_SYSROOT "" CACHE STRING "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "${BACKPLANE_MACOS_PREFIX}/lib/libclang_rt.tbd")
set(CMAKE_FIND_ROOT_PATH ${BACKPLANE_MACOS_PREFIX})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${BACKPLANE_MACOS_PREFIX}/lib/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")

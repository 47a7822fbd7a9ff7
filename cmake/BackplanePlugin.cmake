# bp_add_plugin(NAME SOURCES a.c b.c [LIBS x y] [OS Linux])
#
# Builds NAME.so with nothing exported but bp_plugin_v0, no undefined symbols, and the public headers as
# its only view of Backplane; installs it in the plugin folder. Skipped on other systems than OS.
function(bp_add_plugin name)
    cmake_parse_arguments(arg "" "OS" "SOURCES;LIBS" ${ARGN})
    if(arg_OS AND NOT CMAKE_SYSTEM_NAME STREQUAL arg_OS)
        return()
    endif()
    add_library(${name} MODULE ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES
        PREFIX ""
        LIBRARY_OUTPUT_DIRECTORY ${BACKPLANE_PLUGIN_OUTPUT_DIRECTORY})
    target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE backplane_options backplane_headers ${arg_LIBS})
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        set(map ${PROJECT_SOURCE_DIR}/cmake/plugin.map)
        target_link_options(${name} PRIVATE -Wl,--version-script=${map})
        set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${map})
        if(NOT BACKPLANE_SANITIZE)
            target_link_options(${name} PRIVATE -Wl,-z,defs)
        endif()
    endif()
    install(TARGETS ${name} LIBRARY DESTINATION ${BACKPLANE_PLUGINDIR})
    set_property(GLOBAL APPEND PROPERTY BACKPLANE_PLUGINS ${name})
endfunction()

# backplane_add_plugin(NAME a.c b.c ...): a plugin built against an installed Backplane. It sees the public headers,
# exports bp_plugin_v0 alone, and has no undefined symbols, unless it is built with a sanitizer, whose runtime the
# program brings.
set(BACKPLANE_PLUGIN_MAP "${CMAKE_CURRENT_LIST_DIR}/plugin.map")
function(backplane_add_plugin name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so" C_VISIBILITY_PRESET hidden
        CXX_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(${name} PRIVATE backplane::headers)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        target_link_options(${name} PRIVATE "-Wl,--version-script=${BACKPLANE_PLUGIN_MAP}")
        set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${BACKPLANE_PLUGIN_MAP}")
        if(NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize=")
            target_link_options(${name} PRIVATE -Wl,-z,defs)
        endif()
    endif()
endfunction()

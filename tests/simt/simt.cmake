# The .cu files of a simt library are compiled as host C++ for the emulator.

# CMake itself adds -x c++; the force-included header is tracked by the compiler's depfile.
function(merit_simt_source source)
    set_source_files_properties(${source} PROPERTIES
        LANGUAGE CXX
        COMPILE_OPTIONS "-include;${CMAKE_CURRENT_FUNCTION_LIST_DIR}/simt.h;-DMERIT_SIMT;-Wno-unknown-pragmas")
endfunction()

# merit_add_simt_library(<name> <sources...>): a static library. Sources that are not .cu files are
# compiled as usual.
function(merit_add_simt_library name)
    add_library(${name} STATIC ${ARGN})
    foreach(source IN LISTS ARGN)
        if(source MATCHES "\\.cu$")
            merit_simt_source(${source})
        endif()
    endforeach()
    target_link_libraries(${name} PUBLIC merit_simt PRIVATE merit_flags)
endfunction()

# merit_add_simt_library(<name> <sources...>): a static library whose .cu files are compiled as host C++
# for the emulator. Other sources are compiled as usual.
set(MERIT_SIMT_DIR ${CMAKE_CURRENT_LIST_DIR})
function(merit_add_simt_library name)
    add_library(${name} STATIC ${ARGN})
    foreach(source IN LISTS ARGN)
        if(source MATCHES "\\.cu$")
            # CMake itself adds -x c++; the force-included header is tracked by the compiler's depfile.
            set_source_files_properties(${source} PROPERTIES
                LANGUAGE CXX
                COMPILE_OPTIONS "-include;${MERIT_SIMT_DIR}/simt.h;-DMERIT_SIMT;-Wno-unknown-pragmas")
        endif()
    endforeach()
    target_link_libraries(${name} PUBLIC merit_simt PRIVATE merit_flags)
endfunction()

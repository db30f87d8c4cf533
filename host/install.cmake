# What a user needs: headers, both libraries, and how CMake and pkg-config find them.
include(CMakePackageConfigHelpers)

install(TARGETS merit_shared EXPORT merit-shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
    NAMELINK_COMPONENT development)
install(TARGETS merit_static EXPORT merit-static
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(FILES ${MERIT_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/merit
    COMPONENT development)

if(MERIT_HAVE_MPI)
    install(TARGETS merit_mpi EXPORT merit-mpi
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
        NAMELINK_COMPONENT development)
    install(FILES include/merit/comm_mpi.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/merit
        COMPONENT development)
endif()

# The shared library brings all it needs. The static one names what a program links besides it.
set(MERIT_STATIC_LIBRARIES m)
if(OpenMP_C_FOUND)
    list(APPEND MERIT_STATIC_LIBRARIES gomp pthread)
endif()
set(MERIT_STATIC_LIBRARY_DIR "")
if(MERIT_HAVE_CUDA)
    list(APPEND MERIT_STATIC_LIBRARIES cudart_static dl rt pthread)
    set(MERIT_STATIC_LIBRARY_DIR "-L${CUDAToolkit_LIBRARY_DIR} ")
endif()
list(REMOVE_DUPLICATES MERIT_STATIC_LIBRARIES)

set(MERIT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/merit)
configure_package_config_file(merit-config.cmake.in ${PROJECT_BINARY_DIR}/merit-config.cmake
    INSTALL_DESTINATION ${MERIT_PACKAGE_DIR} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the ABI.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/merit-config-version.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/merit-config.cmake
    ${PROJECT_BINARY_DIR}/merit-config-version.cmake
    DESTINATION ${MERIT_PACKAGE_DIR} COMPONENT development)
install(EXPORT merit-shared NAMESPACE merit:: FILE merit-shared.cmake
    DESTINATION ${MERIT_PACKAGE_DIR} COMPONENT development)
install(EXPORT merit-static NAMESPACE merit:: FILE merit-static.cmake
    DESTINATION ${MERIT_PACKAGE_DIR} COMPONENT development)
if(MERIT_HAVE_MPI)
    install(EXPORT merit-mpi NAMESPACE merit:: FILE merit-mpi.cmake
        DESTINATION ${MERIT_PACKAGE_DIR} COMPONENT development)
endif()

# The prefix follows from where merit.pc lies, so an installed tree can be moved.
file(RELATIVE_PATH MERIT_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" MERIT_PREFIX_FROM_PC "${MERIT_PREFIX_FROM_PC}")
list(TRANSFORM MERIT_STATIC_LIBRARIES PREPEND -l OUTPUT_VARIABLE MERIT_PC_PRIVATE)
list(JOIN MERIT_PC_PRIVATE " " MERIT_PC_PRIVATE)
set(MERIT_PC_PRIVATE "${MERIT_STATIC_LIBRARY_DIR}${MERIT_PC_PRIVATE}")
configure_file(merit.pc.in ${PROJECT_BINARY_DIR}/merit.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/merit.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT development)
if(MERIT_HAVE_MPI)
    configure_file(merit_mpi.pc.in ${PROJECT_BINARY_DIR}/merit_mpi.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/merit_mpi.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)
endif()

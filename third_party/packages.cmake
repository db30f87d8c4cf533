# Packages of the programs and tests; libmerit itself needs none of them.
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
if(MERIT_BUILD_TESTS)
    pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
    pkg_check_modules(MPFR REQUIRED IMPORTED_TARGET mpfr)
endif()

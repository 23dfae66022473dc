# The preset `tsan`. Sets thread_sanitizer, thread_sanitizer_sources and thread_sanitizer_properties for the tests, and adds
# the canaries.

set(thread_sanitizer OFF)
set(thread_sanitizer_sources)
set(thread_sanitizer_properties)
if(NOT "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_DEBUG}" MATCHES "-fsanitize=[a-z,]*thread")
  return()
endif()
set(thread_sanitizer ON)

# libgomp is not instrumented and has no such tool: the sanitizer would report races that cannot be.
string(REGEX MATCH "^[0-9]+" clang_major "${CMAKE_CXX_COMPILER_VERSION}")
set(needed "ThreadSanitizer needs clang with its runtime libraries, LLVM's libomp and Archer. On Debian and Ubuntu: \
scripts/install_dependencies --threads, which installs clang, libomp-${clang_major}-dev and libclang-rt-${clang_major}-dev.")
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR NOT OpenMP_CXX_FOUND)
  message(FATAL_ERROR "${needed}")
endif()

# Archer lies beside libomp, which does not always find it alone: Debian's has no path to its own folder.
get_filename_component(libomp_folder "${OpenMP_omp_LIBRARY}" REALPATH)
get_filename_component(libomp_folder "${libomp_folder}" DIRECTORY)
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-resource-dir
  OUTPUT_VARIABLE clang_folder OUTPUT_STRIP_TRAILING_WHITESPACE)  # of llvm's folder: lib/clang/VERSION
find_library(GPTLITE_ARCHER archer PATHS "${clang_folder}/../.." "${libomp_folder}" NO_DEFAULT_PATH)
if(NOT GPTLITE_ARCHER)
  message(FATAL_ERROR "${needed} Here libarcher is missing.")
endif()
get_filename_component(archer "${GPTLITE_ARCHER}" REALPATH)
message(STATUS "Archer: ${archer}")

set(thread_sanitizer_sources ${CMAKE_CURRENT_SOURCE_DIR}/sanitizer/options.cpp)
# Archer reads TSAN_OPTIONS itself. (Two properties, since doctest_discover_tests() splits lists.)
set(thread_sanitizer_properties ENVIRONMENT "OMP_TOOL_LIBRARIES=${archer}"
  ENVIRONMENT_MODIFICATION "TSAN_OPTIONS=set:ignore_noninstrumented_modules=1")

# The sanitizer reports the race of the racy ones, whatever their exit code. Without Archer it would report one of
# correct_openmp too.
add_executable(thread_canary sanitizer/thread_canary.cpp ${thread_sanitizer_sources})
target_link_libraries(thread_canary PRIVATE gptlite_own)
foreach(threads openmp parallel_for)
  add_test(NAME racy_${threads}_is_reported COMMAND thread_canary racy_${threads})
  set_tests_properties(racy_${threads}_is_reported PROPERTIES
    PASS_REGULAR_EXPRESSION "WARNING: ThreadSanitizer: data race" ${thread_sanitizer_properties})
  add_test(NAME correct_${threads}_is_not_reported COMMAND thread_canary correct_${threads})
  set_tests_properties(correct_${threads}_is_not_reported PROPERTIES
    PASS_REGULAR_EXPRESSION "correct_${threads} ends" FAIL_REGULAR_EXPRESSION "ThreadSanitizer" ${thread_sanitizer_properties})
endforeach()

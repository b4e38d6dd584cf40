# SPDX-License-Identifier: Apache-2.0
# libnnr, the decoder as a C library, and nnrdec. Included by ../CMakeLists.txt and usable on its own through cmake/libnnr.
get_filename_component(NNR_ROOT "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)

set(NNR_DECODER_SOURCES
  ${NNR_ROOT}/codec/carrier.cpp
  ${NNR_ROOT}/codec/carrier_reader.cpp
  ${NNR_ROOT}/codec/data_unit.cpp
  ${NNR_ROOT}/codec/element_types.cpp
  ${NNR_ROOT}/codec/hash.cpp
  ${NNR_ROOT}/codec/inflate.cpp
  ${NNR_ROOT}/codec/json_reader.cpp
  ${NNR_ROOT}/codec/model_decoder.cpp
  ${NNR_ROOT}/codec/nnr.cpp
  ${NNR_ROOT}/codec/payload_levels.cpp
  ${NNR_ROOT}/codec/recompose.cpp
  ${NNR_ROOT}/codec/source_reader.cpp
  ${NNR_ROOT}/codec/source_view.cpp
  ${NNR_ROOT}/codec/split_unit.cpp
  ${NNR_ROOT}/codec/stream_decoder.cpp
  ${NNR_ROOT}/codec/stream_data_units.cpp
  ${NNR_ROOT}/codec/stream_parts.cpp
  ${NNR_ROOT}/codec/stream_walk.cpp
  ${NNR_ROOT}/codec/tensor_patch.cpp
  ${NNR_ROOT}/codec/type_rules.cpp
  ${NNR_ROOT}/codec/unit_decoder.cpp
  ${NNR_ROOT}/codec/update_tree.cpp
  ${NNR_ROOT}/src/block_rows.cpp
  ${NNR_ROOT}/src/dequantizer.cpp
  ${NNR_ROOT}/src/level_kernel.cpp
  ${NNR_ROOT}/syntax/callables.cpp
  ${NNR_ROOT}/syntax/generated/elements.cpp
  ${NNR_ROOT}/syntax/generated/unit_parsers.cpp
  ${NNR_ROOT}/syntax/parser.cpp
)
# Builders of units: not part of the decoder.
set(NNR_BUILDER_SOURCES
  ${NNR_ROOT}/syntax/builder.cpp
  ${NNR_ROOT}/syntax/generated/unit_builders.cpp
)
add_library(nnr ${NNR_DECODER_SOURCES})
add_library(nnr::nnr ALIAS nnr)
target_compile_features(nnr PUBLIC cxx_std_20)
target_include_directories(nnr PUBLIC $<BUILD_INTERFACE:${NNR_ROOT}/include> $<INSTALL_INTERFACE:include>
                           PRIVATE ${NNR_ROOT}/syntax ${NNR_ROOT}/codec)
target_link_libraries(nnr PRIVATE ZLIB::ZLIB Threads::Threads)
target_compile_definitions(nnr PRIVATE NNR_BUILD)
if(BUILD_SHARED_LIBS)
  target_compile_definitions(nnr PUBLIC NNR_SHARED)
elseif(UNIX)
  # A linker of C adds no mathematical functions.
  target_link_libraries(nnr PRIVATE m)
endif()
set_target_properties(nnr PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                      VERSION 0.1.0 SOVERSION 0)

add_executable(nnrdec ${NNR_ROOT}/programs/nnrdec.cpp ${NNR_ROOT}/programs/tensor_files.cpp)
target_compile_features(nnrdec PRIVATE cxx_std_20)
target_link_libraries(nnrdec PRIVATE nnr)

# For -Os builds: no kernels for particular processors, and no unwind tables.
option(NNR_SMALL "Prefer a small library to a fast one" OFF)
if(NNR_SMALL)
  target_compile_definitions(nnr PRIVATE NNR_PORTABLE NNR_SMALL)
  target_compile_options(nnr PRIVATE -fno-asynchronous-unwind-tables -fno-unwind-tables)
  target_compile_options(nnrdec PRIVATE -fno-asynchronous-unwind-tables -fno-unwind-tables)
endif()

foreach(target nnr nnrdec)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /fp:precise /GR-)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -ffp-contract=off -fno-exceptions -fno-rtti
                           -ffunction-sections -fdata-sections)
  endif()
endforeach()
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND NOT APPLE)
  target_link_options(nnrdec PRIVATE -Wl,--gc-sections)
endif()

option(NNR_BUILD_EXAMPLES "Build the examples" OFF)
if(NNR_BUILD_EXAMPLES)
  enable_language(C)
  add_executable(decode_example ${NNR_ROOT}/examples/decode.c)
  add_executable(one_tensor_example ${NNR_ROOT}/examples/one_tensor.cpp)
  foreach(target decode_example one_tensor_example)
    target_link_libraries(${target} PRIVATE nnr)
  endforeach()
  set_target_properties(decode_example PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
endif()

option(NNR_BUILD_LIBRARY_TESTS "Build what the tests of libnnr run" OFF)
if(NNR_BUILD_LIBRARY_TESTS)
  set(NNR_SYNTAX_SOURCES ${NNR_DECODER_SOURCES})
  list(FILTER NNR_SYNTAX_SOURCES INCLUDE REGEX "/syntax/")
  foreach(name callables rebuild)
    set(target nnr_${name})
    add_executable(${target} ${NNR_ROOT}/tests/libnnr/${name}.cpp ${NNR_SYNTAX_SOURCES} ${NNR_BUILDER_SOURCES})
    target_compile_features(${target} PRIVATE cxx_std_20)
    target_include_directories(${target} PRIVATE ${NNR_ROOT}/include ${NNR_ROOT}/syntax)
    if(NOT MSVC)
      target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow)
    endif()
  endforeach()
endif()

option(NNR_BUILD_LIBRARY_BENCH "Build the benchmark of header parsing" OFF)
if(NNR_BUILD_LIBRARY_BENCH)
  add_executable(header_bench ${NNR_ROOT}/bench/header_bench.cpp)
  target_include_directories(header_bench PRIVATE ${NNR_ROOT}/syntax ${NNR_ROOT}/codec)
  target_link_libraries(header_bench PRIVATE nnr)
endif()

# Package: find_package(nnr), pkg-config nnr.
option(NNR_INSTALL "Install the library, its headers and its package files" OFF)
if(NNR_INSTALL)
  include(GNUInstallDirs)
  include(CMakePackageConfigHelpers)
  install(TARGETS nnr EXPORT nnr-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(TARGETS nnrdec RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The program finds a shared library beside it, whatever the prefix.
  file(RELATIVE_PATH nnr_libdir_from_bindir ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  if(APPLE)
    set_target_properties(nnrdec PROPERTIES INSTALL_RPATH "@loader_path/${nnr_libdir_from_bindir}")
  else()
    set_target_properties(nnrdec PROPERTIES INSTALL_RPATH "$ORIGIN/${nnr_libdir_from_bindir}")
  endif()
  install(FILES ${NNR_ROOT}/include/nnr.h ${NNR_ROOT}/include/nnr.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT nnr-targets NAMESPACE nnr:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nnr)
  configure_package_config_file(${NNR_ROOT}/cmake/nnr-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/nnr-config.cmake
                                INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nnr)
  write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/nnr-config-version.cmake VERSION ${PROJECT_VERSION}
                                   COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nnr-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/nnr-config-version.cmake
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nnr)
  file(RELATIVE_PATH nnr_prefix_from_pcdir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  string(REGEX REPLACE "/$" "" nnr_prefix_from_pcdir "${nnr_prefix_from_pcdir}")
  configure_file(${NNR_ROOT}/cmake/nnr.pc.in ${CMAKE_CURRENT_BINARY_DIR}/nnr.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nnr.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

# Needs Clang: libFuzzer is part of it.
option(NNR_BUILD_LIBRARY_FUZZERS "Build the fuzzers of libnnr" OFF)
if(NNR_BUILD_LIBRARY_FUZZERS)
  set(nnr_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(nnr PRIVATE ${nnr_sanitizers} -fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp)
  # The arithmetic decoder compares nothing with bytes of the input. Its comparisons would take a third of the time.
  set_source_files_properties(${NNR_ROOT}/codec/payload_levels.cpp ${NNR_ROOT}/src/block_rows.cpp
                              ${NNR_ROOT}/src/level_kernel.cpp PROPERTIES
                              COMPILE_OPTIONS -fno-sanitize-coverage=trace-cmp)
  target_link_options(nnrdec PRIVATE ${nnr_sanitizers})
  foreach(target decode headers push)
    add_executable(fuzz_libnnr_${target} ${NNR_ROOT}/fuzz/libnnr/${target}.cpp)
    target_compile_features(fuzz_libnnr_${target} PRIVATE cxx_std_20)
    target_link_libraries(fuzz_libnnr_${target} PRIVATE nnr)
    target_compile_options(fuzz_libnnr_${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow ${nnr_sanitizers})
    target_link_options(fuzz_libnnr_${target} PRIVATE ${nnr_sanitizers} -fsanitize=fuzzer)
  endforeach()
endif()

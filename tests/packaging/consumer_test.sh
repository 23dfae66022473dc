#!/usr/bin/env bash
# A project of its own uses the library: found as an installed package, or added as a source folder.
#
# usage: consumer_test.sh find_package|find_package_without_io|add_subdirectory SOURCE_DIR BUILD_DIR CXX
set -euo pipefail
how=$1 source=$2 build=$3 cxx=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/project"
cat >"$work/project/main.cpp" <<'CPP'
#include <gptlite/gptlite.hpp>
#include <iostream>
#ifdef WITH_IO
#include <gptlite/io.hpp>
#endif
int main() { std::cout << gptlite::Tensor<float>::ones({2, 2}) << '\n'; }
CPP
arguments=()
{
  echo 'cmake_minimum_required(VERSION 3.21)'
  echo 'project(consumer LANGUAGES CXX)'
  case $how in
    find_package) echo 'find_package(gptlite 0.1 CONFIG REQUIRED COMPONENTS io)' ;;
    find_package_without_io) echo 'find_package(gptlite 0.1 CONFIG REQUIRED)' ;;
    add_subdirectory) echo "add_subdirectory(\"$source\" gptlite)" ;;
  esac
  echo 'add_executable(consumer main.cpp)'
  echo 'target_link_libraries(consumer PRIVATE gptlite::gptlite gptlite::native)'
  if [ "$how" = find_package_without_io ]; then
    arguments+=(-DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON)
  else
    echo 'target_link_libraries(consumer PRIVATE gptlite::io)'
    echo 'target_compile_definitions(consumer PRIVATE WITH_IO)'
  fi
} >"$work/project/CMakeLists.txt"

if [ "$how" != add_subdirectory ]; then
  cmake --install "$build" --prefix "$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  arguments+=("-DCMAKE_PREFIX_PATH=$work/prefix")
fi
{
  cmake -S "$work/project" -B "$work/build" -DCMAKE_CXX_COMPILER="$cxx" "${arguments[@]}" &&
    cmake --build "$work/build"
} >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
# A parent project gets the library alone, no tests or examples of it.
if [ -e "$work/build/gptlite/tests" ] || [ -e "$work/build/gptlite/examples" ]; then
  echo "the consumer's build contains gptlite's tests or examples"
  exit 1
fi
"$work/build/consumer" | grep -q 'shape (2, 2)'

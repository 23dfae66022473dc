#!/usr/bin/env bash
# A project of its own uses the library: found as an installed package, or added as a source folder.
#
# usage: consumer_test.sh find_package|find_package_without_io|add_subdirectory|compiled SOURCE_DIR BUILD_DIR CXX
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
int main() {
  using namespace gptlite;
  GPT<float> model({.vocab_size = 5, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 4});
  const auto tokens = Tensor<TokenId>::from({0, 1, 2, 3}, {1, 4});
  Tensor<float> loss = model.loss(tokens, tokens);
  loss.backward();
  if (generate(model, {1}, {.max_new_tokens = 2}).empty()) return 1;
  std::cout << Tensor<float>::ones({2, 2}) << '\n';
}
CPP
library='gptlite::gptlite gptlite::native'
arguments=()
{
  echo 'cmake_minimum_required(VERSION 3.21)'
  echo 'project(consumer LANGUAGES CXX)'
  case $how in
    find_package) echo 'find_package(gptlite 0.1 CONFIG REQUIRED COMPONENTS io)' ;;
    find_package_without_io) echo 'find_package(gptlite 0.1 CONFIG REQUIRED)' ;;
    add_subdirectory) echo "add_subdirectory(\"$source\" gptlite)" ;;
    compiled)  # which the preset `release` installs
      echo 'find_package(gptlite 0.1 CONFIG REQUIRED)'
      library=gptlite::compiled ;;
  esac
  echo 'add_executable(consumer main.cpp)'
  echo "target_link_libraries(consumer PRIVATE $library)"
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
# Nobody set a build type: that unoptimized kernels are slow is said.
grep -q 'no CMAKE_BUILD_TYPE is set' "$work/log" || { echo "the build type that is missing is not named"; exit 1; }
# A parent project gets the library alone, no tests or examples of it.
if [ -e "$work/build/gptlite/tests" ] || [ -e "$work/build/gptlite/examples" ]; then
  echo "the consumer's build contains gptlite's tests or examples"
  exit 1
fi
"$work/build/consumer" | grep -q 'shape (2, 2)' || { echo "the consumer did not print its tensor"; exit 1; }

#!/usr/bin/env bash
# Objects built for two processors share no symbol of the library, so that a linker never takes a kernel with AVX
# instructions for a program part that was built without them. What they share is the standard library's and Eigen's.
#
# usage: two_builds_test.sh SOURCE_DIR CXX EIGEN_DIR
set -euo pipefail
source=$1 cxx=$2 eigen=$3
[ "$(uname -m)" = x86_64 ] || { echo "skipped: this test knows x86-64's flags only"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/part.cpp" <<'CPP'
#include <gptlite/autograd/backward.hpp>
#include <gptlite/autograd/ops/linear.hpp>
float NAME() {
  using namespace gptlite;
  Tensor<float> w = Tensor<float>::ones({3, 4}).set_requires_grad();
  Tensor<float> y = linear(Tensor<float>::ones({2, 3}), w);
  y.backward(Tensor<float>::ones({2, 4}));
  return w.grad().data()[0];
}
CPP
for build in x86-64 x86-64-v3; do
  "$cxx" -std=c++20 -O1 "-march=$build" "-DNAME=part_${build//-/_}" -I"$source/include" -isystem "$eigen" -c "$work/part.cpp" -o "$work/$build.o" &
done
wait %1 && wait %2
for build in x86-64 x86-64-v3; do
  nm --defined-only "$work/$build.o" | awk '{print $3}' | sort -u >"$work/$build.symbols"
done
comm -12 "$work/x86-64.symbols" "$work/x86-64-v3.symbols" | c++filt >"$work/common"
if grep gptlite "$work/common"; then
  echo "objects for x86-64 and x86-64-v3 share these symbols of gptlite"
  exit 1
fi
[ "$(grep -c gptlite <(c++filt <"$work/x86-64.symbols"))" -gt 20 ] || { echo "the objects hold nothing of gptlite"; exit 1; }
echo "no symbol of gptlite in common; $(wc -l <"$work/common") of the standard library and Eigen"

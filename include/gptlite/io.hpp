#pragma once
// gptlite's files, all of them: safetensors and JSON. They need nlohmann-json, which is why gptlite.hpp leaves them out.
// This header includes everything in io/ and defines nothing.

#include "gptlite/io/atomic_file.hpp"
#include "gptlite/io/dtype.hpp"
#include "gptlite/io/float16.hpp"
#include "gptlite/io/json.hpp"
#include "gptlite/io/safetensors.hpp"

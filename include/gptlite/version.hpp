#pragma once
// The one place that knows gptlite's version; CMakeLists.txt reads the three numbers from here.

#define GPTLITE_VERSION_MAJOR 0
#define GPTLITE_VERSION_MINOR 1
#define GPTLITE_VERSION_PATCH 0

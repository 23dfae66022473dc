# What the scripts share; source it. They run in the project's root.

# Runs a command; shows what it printed only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" -eq 0 ] || cat "$log"
  rm -f "$log"
  return "$status"
}

# cmake's arguments for a compiler cache, where there is one.
compiler_cache() { ! command -v ccache >/dev/null || echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache; }

# The folder of Eigen's headers.
eigen_folder() {
  local folder=/usr/include/eigen3
  [ -d "$folder" ] || folder=$(pkg-config --variable=includedir eigen3)/eigen3
  echo "$folder"
}

# What the tests of the examples share; source it after `set -euo pipefail`.

# A folder that is removed in the end.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Ends the test with what is wrong.
fail() {
  echo "FAILED: $1"
  exit 1
}

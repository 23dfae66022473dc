#!/usr/bin/env bash
# embed, from its command line, with the BERT of the fixtures: JSON lines, .npy, search, bad input.
set -euo pipefail
embed=$1 model=$(dirname "$0")/../fixtures/bert
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

printf 'the lower bank\nthey sing "it"\r\n\nthe lower bank\n' >"$work/lines"
"$embed" --model "$model" --text "$work/lines" >"$work/out" 2>"$work/err"
[ "$(wc -l <"$work/out")" = 4 ] || fail "not a line for each line"
grep -q '^{"text": "the lower bank", "vector": \[-\{0,1\}[0-9.e-]*\(, -\{0,1\}[0-9.e-]*\)\{11\}\]}$' "$work/out" || fail "$(cat "$work/out")"
grep -qF '{"text": "they sing \"it\"", "vector": [' "$work/out" || fail "the second line: $(cat "$work/out")"
[ "$(sed -n 1p "$work/out")" = "$(sed -n 4p "$work/out")" ] || fail "equal lines have other vectors"
grep -q '^embed: 4 lines in .* s, .* per second$' "$work/err" || fail "stderr: $(cat "$work/err")"
"$embed" --model "$model" <"$work/lines" 2>/dev/null | cmp - "$work/out" || fail "stdin gives other vectors"
"$embed" --model "$model" --text "$work/lines" --threads 1 2>/dev/null | cmp - "$work/out" || fail "one thread gives other bits"

"$embed" --model "$model" --text "$work/lines" --out "$work/v.npy" >"$work/out2" 2>/dev/null
[ "$(wc -c <"$work/v.npy")" = $((128 + 4 * 12 * 4)) ] || fail "size of v.npy"
[ ! -s "$work/out2" ] || fail "--out prints vectors"

"$embed" --model "$model" --text "$work/lines" --search "the lower bank" --top 2 >"$work/out" 2>/dev/null
[ "$(cut -f 2 "$work/out")" = "$(printf 'the lower bank\nthe lower bank')" ] || fail "--search: $(cat "$work/out")"
"$embed" --model "$model" --text "$work/lines" --search "they sing" --search low --top 1 >"$work/out" 2>/dev/null
[ "$(grep -c '^# ' "$work/out")" = 2 ] && [ "$(wc -l <"$work/out")" = 4 ] || fail "two queries: $(cat "$work/out")"

expect() {  # expect MESSAGE ARGUMENTS
  local message=$1
  shift
  if "$embed" "$@" >"$work/out" 2>"$work/err" <"$work/lines"; then fail "accepted: $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" = 1 ] || fail "more than one line: $(cat "$work/err")"
}
expect "--model is required"
expect "[read_file] $work/none: cannot read: No such file or directory" --model "$model" --text "$work/none"
expect '"model_type" is "gpt2", which is not supported here, only bert' --model "$(dirname "$model")/gpt2"
expect "unknown option --serch; did you mean --search?" --model "$model" --serch x
printf 'good\nb\377\n' >"$work/lines"
expect "embed: [embed] stdin: [SentenceEncoder] text 1: [utf8] invalid UTF-8 at byte 1" --model "$model"
echo passed

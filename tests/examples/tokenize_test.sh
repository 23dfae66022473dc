#!/usr/bin/env bash
# tokenize from its command line: the ids of each line, and what bad input says.
#
# usage: tokenize_test.sh PROGRAM
set -euo pipefail
program=$1
. "$(dirname "$0")/common.sh"

# GPT-1's kind of vocabulary, written by hand: the words "low" and "lower".
mkdir "$work/model"
cat >"$work/model/vocab.json" <<'JSON'
{"<unk>": 0, "l": 1, "o": 2, "w</w>": 3, "w": 4, "e": 5, "r</w>": 6, "lo": 7, "low</w>": 8, "er</w>": 9}
JSON
printf '#version: 0.2\nl o\nlo w</w>\ne r</w>\n' >"$work/model/merges.txt"

printf 'low LOWER\n\nlow!\nlo' >"$work/text"
"$program" --model "$work/model" --text "$work/text" >"$work/out"
printf '8 7 4 9\n\n8 0\n1 0\n' >"$work/expected"
diff "$work/expected" "$work/out" || fail "ids"

expect() {
  local message=$1
  shift
  if "$program" "$@" >"$work/out" 2>"$work/err"; then fail "accepted: $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" = 1 ] || fail "an error is one line, got: $(cat "$work/err")"
  [ ! -s "$work/out" ] || fail "an error leaves stdout empty"
}
printf '\xff' >"$work/latin1"
expect '[tokenize] --model and --text are required' --text "$work/text"
expect 'did you mean --model?' --modle "$work/model" --text "$work/text"
expect '/nowhere: holds no tokenizer' --model "$work/nowhere" --text "$work/text"
expect '/nothing: cannot read: No such file or directory' --model "$work/model" --text "$work/nothing"
expect 'latin1, line 1, byte 1: not UTF-8' --model "$work/model" --text "$work/latin1"

#!/usr/bin/env bash
# Programs that get less and less memory: each run succeeds, or ends with one line that says so and exit code 1. None
# crashes, aborts or hangs, and a folder that was written is whole.
#
# usage: out_of_memory_test.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
programs=$1
. "$(dirname "$0")/common.sh"

# limited KB COMMAND: runs it with that much address space; its exit code, errors in $work/err.
limited() {
  local code=0
  (
    ulimit -v "$1" -c 0
    shift
    exec timeout 60 "$@"
  ) >"$work/out" 2>"$work/err" || code=$?
  echo "$code"
}

# Runs a program with limits from what its --help needs up to what it needs itself. $1: the least number of them that are
# too low, so that the test tries something.
runs=0
sweep() {
  local least=$1 program=$2 low=1000 high=4000000 limit code failed=0 step=500
  shift 2
  while [ $((high - low)) -gt 500 ]; do  # what the loader and --help need
    limit=$(((low + high) / 2))
    if [ "$(limited "$limit" "$programs/$program" --help)" = 0 ]; then high=$limit; else low=$limit; fi
  done
  for ((limit = high + 1000;; limit += step, step += step / 4)); do
    [ "$limit" -lt 4000000 ] || fail "$program does not run in 4 GB"
    code=$(limited "$limit" "$programs/$program" "$@")
    runs=$((runs + 1))
    [ "$code" != 0 ] || break
    failed=$((failed + 1))
    [ "$code" = 1 ] || fail "$program with $limit KB ended with $code: $(cat "$work/err")"
    grep -v '^ *$' "$work/err" >"$work/lines" || true
    [[ "$(tail -n 1 "$work/lines")" == "$program: "* ]] || fail "$program with $limit KB says: $(cat "$work/err")"
    [ "$(grep -c "^$program: " "$work/lines")" = 1 ] || fail "$program with $limit KB says more than once: $(cat "$work/err")"
    grep -qE "^$program: .*([Mm]emory|bad_alloc|allocate)" "$work/lines" || fail "$program with $limit KB says: $(cat "$work/err")"
  done
  [ "$failed" -ge "$least" ] || fail "$program ran with all limits but $failed"
  echo "$program: $failed limits too low, enough with $limit KB"
}

for i in $(seq 300); do echo "the quick brown fox no $((i % 7)) jumps over the lazy dog"; done >"$work/text"
model=(--n-layer 2 --n-head 4 --n-embd 256 --block-size 128 --batch-size 16 --eval-batches 1 --warmup-steps 1 --threads 3)
sweep 5 train_char_gpt --text "$work/text" --out "$work/run" --overwrite "${model[@]}" --max-steps 2 --eval-interval 2
sweep 2 generate --model "$work/run" --prompt "the quick" --max-new-tokens 20 --threads 3
sweep 2 convert --model "$work/run" --out "$work/converted" --type bf16
"$programs/generate" --model "$work/converted" --prompt the --max-new-tokens 2 >/dev/null || fail "what was written is no model"
sweep 5 pretrain --text "$work/text" --vocab-size 300 --out "$work/gpt" --overwrite "${model[@]}" --max-steps 2 --eval-interval 2
{
  printf 'label\ttext\n'
  for i in $(seq 8); do printf '%s\tthe fox no %d jumps\n' "$([ $((i % 2)) = 0 ] && echo good || echo bad)" "$i"; done
} >"$work/table.tsv"
sweep 3 finetune --task classification --model "$work/gpt" --train "$work/table.tsv" --dev "$work/table.tsv" --epochs 2 \
  --batch-size 4 --threads 3 --out "$work/task" --overwrite
echo "$runs runs"

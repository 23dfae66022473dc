#!/usr/bin/env bash
# train_char_gpt from its command line: a run that learns, and what bad input says.
#
# usage: train_char_gpt_test.sh PROGRAM
set -euo pipefail
program=$1
. "$(dirname "$0")/common.sh"

# A run on a text that repeats: it must learn it.
for i in $(seq 200); do echo "the quick brown fox no $((i % 7)) jumps over the lazy dog"; done >"$work/text"
tiny=(--n-layer 1 --n-head 2 --n-embd 32 --block-size 16 --batch-size 4 --eval-batches 5)
"$program" --text "$work/text" --out "$work/run" "${tiny[@]}" --max-steps 200 --warmup-steps 10 --learning-rate 5e-3 --eval-interval 100 \
  --sample-every 100 --dropout 0.1 --window 8 --grad-accumulation 2 --norm-order post --prompt the >"$work/out" 2>"$work/err"
[ "$(wc -l <"$work/out")" = 1 ] || fail "stdout must hold the result alone"
grep -qE '^\{"steps": 200, "train_loss": [0-9.]+, "val_loss": [0-9.]+, "train_seconds": [0-9.]+, "tokens_per_s": [0-9.]+, "parameters": [0-9]+\}$' \
  "$work/out" || fail "result: $(cat "$work/out")"
val_loss=$(sed -E 's/.*"val_loss": ([0-9.]+).*/\1/' "$work/out")
awk -v loss="$val_loss" 'BEGIN { exit !(loss < 1.2) }' || fail "it did not learn: validation loss $val_loss"
[ "$(grep -c '"loss"' "$work/run/metrics.jsonl")" = 200 ] || fail "one object a step"
grep -qE '^\{"step": 1, "loss": [^,]+, "learning_rate": [^,]+, "grad_norm": [^,]+, "tokens_per_s": [^,]+, "seconds": [^,]+\}$' "$work/run/metrics.jsonl" ||
  fail "the keys of metrics"
[ "$(grep -c '"val_loss"' "$work/run/metrics.jsonl")" = 2 ] || fail "one object an evaluation"
[ "$(grep -c -- '--- step' "$work/run/samples.txt")" = 2 ] || fail "a sample every 100 steps"
grep -q '^the' "$work/run/samples.txt" || fail "samples begin with the prompt"
! grep -q $'\r' "$work/err" || fail "no live line where there is no terminal"

# The same seed gives the same losses, whatever the number of threads.
losses() { sed -E 's/, "tokens_per_s".*//' "$1/metrics.jsonl"; }
for threads in 1 3; do
  "$program" --text "$work/text" --out "$work/run$threads" "${tiny[@]}" --max-steps 20 --dropout 0.1 --threads $threads \
    >/dev/null 2>&1
done
[ "$(losses "$work/run1")" = "$(losses "$work/run3")" ] || fail "losses differ with the number of threads"

# bf16 learns the same, with other losses.
"$program" --text "$work/text" --out "$work/bf16" "${tiny[@]}" --max-steps 20 --dropout 0.1 --precision bf16 >/dev/null 2>&1
[ "$(losses "$work/bf16")" != "$(losses "$work/run1")" ] || fail "bf16 changed nothing"
last_loss() { tail -n 1 "$1/metrics.jsonl" | sed -E 's/.*"(val_)?loss": ([0-9.]+).*/\2/'; }
awk -v a="$(last_loss "$work/bf16")" -v b="$(last_loss "$work/run1")" 'BEGIN { exit !((a - b) ^ 2 < 0.0025) }' ||
  fail "bf16 ends elsewhere: $(last_loss "$work/bf16") and $(last_loss "$work/run1")"

# Muon learns more in as many steps.
"$program" --text "$work/text" --out "$work/muon" "${tiny[@]}" --max-steps 40 --warmup-steps 5 --optimizer muon >/dev/null 2>&1
"$program" --text "$work/text" --out "$work/adamw" "${tiny[@]}" --max-steps 40 --warmup-steps 5 >/dev/null 2>&1
awk -v a="$(last_loss "$work/muon")" -v b="$(last_loss "$work/adamw")" 'BEGIN { exit !(a < b - 0.3) }' ||
  fail "muon ends at $(last_loss "$work/muon"), adamw at $(last_loss "$work/adamw")"

# Other activations and a head of its own.
"$program" --text "$work/text" --out "$work/relu2" "${tiny[@]}" --max-steps 5 --activation relu_squared --untied-head >/dev/null 2>&1
grep -q '"activation_function": "relu2"' "$work/relu2/config.json" || fail "config.json: $(cat "$work/relu2/config.json")"
grep -q '"tie_word_embeddings": false' "$work/relu2/config.json" || fail "config.json: $(cat "$work/relu2/config.json")"

# A text of one line has no new line to begin samples with.
tr -d '\n' <"$work/text" >"$work/line"
"$program" --text "$work/line" --out "$work/one" "${tiny[@]}" --max-steps 2 >/dev/null 2>&1 || fail "one line of text"
head -n 2 "$work/one/samples.txt" | tail -n 1 | grep -q '^t' || fail "samples begin with the text's first character"

# The time limit ends a run early.
"$program" --text "$work/text" --out "$work/limit" "${tiny[@]}" --max-steps 1000000 --time-limit 0.2 >"$work/out" 2>/dev/null
grep -q '"steps": 1000000' "$work/out" && fail "the time limit was ignored"

# Bad input: the message, and an exit code that is not 0.
expect() {
  local message=$1
  shift
  if "$program" --out "$work/bad" "$@" >"$work/out" 2>"$work/err"; then fail "accepted: $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" = 1 ] || fail "an error is one line, got: $(cat "$work/err")"
  [ ! -s "$work/out" ] || fail "an error leaves stdout empty"
}
: >"$work/empty"
printf 'short text' >"$work/short"
printf 'good until here \xff bad' >"$work/latin1"
expect '--precision: fp16 not in {fp32,bf16}' --precision fp16
expect 'unknown option --n-layr; did you mean --n-layer?' --n-layr 3
expect 'unknown option --learning-rat; did you mean --learning-rate?' --learning-rat=1
expect 'unknown option --frobnicate; --help lists them all' --frobnicate
expect '/empty: the file is empty' --text "$work/empty"
expect '/nothing: cannot read: No such file or directory' --text "$work/nothing"
expect ': cannot read: Is a directory' --text "$work"
expect 'dataset has 9 tokens, block size needs 65' --text "$work/short"
expect 'the last 10% of the text validate: dataset has' --text "$work/text" --block-size 2000
expect 'latin1, line 1, byte 17: not UTF-8' --text "$work/latin1"
expect 'n_embd 130 is not divisible by n_head 4' --text "$work/text" --n-embd 130
expect 'character "é" at position 1 is not in the vocabulary' --text "$work/text" --prompt 'té'
expect '--max-steps must be positive, got 0' --text "$work/text" --max-steps 0
expect '--eval-interval: needs a whole number, 0 or more and below 2^63, got "-1"' --text "$work/text" --eval-interval -1
expect '--sample-every: needs a whole number, 0 or more and below 2^63, got "-1"' --text "$work/text" --sample-every -1
expect '--time-limit: needs a number, 0 or more, got "-1"' --text "$work/text" --time-limit -1
expect '--n-layer' --text "$work/text" --n-layer many
expect "transformers' openai-gpt has no activation relu_squared" --text "$work/text" --norm-order post --activation relu_squared
expect "transformers' gpt2 has no activation none" --text "$work/text" --activation none
expect '"nano-gpu" is unknown; there are nano-cpu, nano-fast and small' --preset nano-gpu
expect 'batch_size and block_size must be positive' --text "$work/text" --batch-size 0
expect '/dev/full/run: Not a directory' --text "$work/text" --out /dev/full/run
"$program" --help >"$work/out"
grep -q -- '--grad-accumulation' "$work/out" || fail "--help lists the options"

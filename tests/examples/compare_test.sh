#!/usr/bin/env bash
# compare, from its command line: all stages on a small text, parameters within 2%, the same bits for any number of threads.
set -euo pipefail
compare=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

for i in {1..400}; do echo "the $((i % 7)) red boxes and the $((i % 5)) blue ones are here, number $i"; done >"$work/text"
sizes=(--folder "$work/w" --n-layer 2 --n-head 2 --n-embd 32 --block-size 24 --batch-size 8)
"$compare" --stage tokenizer --folder "$work/w" --text "$work/text" --vocab-size 300 >"$work/out"
grep -q '"vocab_size": 300' "$work/out" || fail "tokenizer: $(cat "$work/out")"
value() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" "$work/out"; }
for model in gpt lstm bert elmo; do
  "$compare" --stage pretrain --model "$model" "${sizes[@]}" --text "$work/text" --max-steps 20 >"$work/out" 2>"$work/err"
  loss=$(value loss) inner=$(value inner_parameters)
  [ "$model" != gpt ] || gpt=$inner
  awk -v a="$inner" -v b="$gpt" 'BEGIN { exit !(a > 0.98 * b && a < 1.02 * b) }' || fail "$model has $inner parameters, gpt $gpt"
  "$compare" --stage pretrain --model "$model" "${sizes[@]}" --text "$work/text" --max-steps 20 --threads 1 --weights one >"$work/out" 2>"$work/err"
  [ "$(value loss)" = "$loss" ] || fail "$model: loss $loss with all threads, $(value loss) with one"
  cmp "$work/w/$model.safetensors" "$work/w/one.safetensors" || fail "$model: other weights with one thread"
done

row() { printf '%s\tthe %s box no %s\tit is %s\n' "$1" "$1" "$2" "$1"; }
for part in train dev test; do
  { printf 'label\ttext\n'; for i in {1..24}; do row red "$i"; row blue "$i"; done | cut -f 1,2; } >"$work/classification_$part"
  { printf 'label\tpremise\thypothesis\n'; for i in {1..24}; do row red "$i"; row blue "$i"; done; } >"$work/entailment_$part"
done
for task in classification entailment; do
  data=(--task "$task" --train "$work/${task}_train" --dev "$work/${task}_dev" --test "$work/${task}_test" --epochs 150 --learning-rate 3e-3 --dropout 0)
  for options in "gpt --lambda 0.5" lstm bert "elmo --frozen" elmo "gpt --random-weights"; do
    # shellcheck disable=SC2086 # words of an option
    "$compare" --stage task --model $options "${sizes[@]}" "${data[@]}" >"$work/out" 2>"$work/err" || fail "$options: $(cat "$work/err")"
    awk -v a="$(sed -n 's/.*"test": {"accuracy": \([0-9.]*\).*/\1/p' "$work/out")" 'BEGIN { exit !(a > 0.9) }' || fail "$task, $options: $(cat "$work/out")"
  done
done
"$compare" --stage middle "${sizes[@]}" --text "$work/text" --windows 20 >"$work/out"
grep -q '"gpt_loss": .*"bert_accuracy": ' "$work/out" || fail "middle: $(cat "$work/out")"
for model in gpt lstm bert; do
  "$compare" --stage recall --model "$model" "${sizes[@]}" --max-steps 5 >"$work/out" 2>"$work/err"
  grep -q '"distances": \[16\], "accuracies": \[[0-9.]*\]' "$work/out" || fail "recall: $(cat "$work/out")"
done

expect() {  # expect MESSAGE ARGUMENTS
  local message=$1
  shift
  if "$compare" "$@" >"$work/out" 2>"$work/err"; then fail "accepted: $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
}
expect "it was saved with other sizes" --stage middle "${sizes[@]}" --n-embd 64 --text "$work/text"
expect "recall knows gpt, lstm and bert" --stage recall --model elmo "${sizes[@]}"
expect "$work/none" --stage task --folder "$work/none" "${data[@]}"
expect "--stage: paint not in" --stage paint
echo passed

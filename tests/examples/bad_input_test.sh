#!/usr/bin/env bash
# Bad files and arguments, each through the command line of a program: exactly one line that names the file and what is
# wrong with it, exit code 1, or 2 for a misspelt option; nothing is written. docs/reliability.md promises this.
#
# usage: bad_input_test.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
programs=$1
. "$(dirname "$0")/common.sh"

# expect CODE MESSAGE PROGRAM ARGUMENT...: the whole of what the program writes to stderr is "PROGRAM: MESSAGE".
inputs=0
expect() {
  local code=$1 message=$2 program=$3 found=0
  shift 3
  timeout 60 "$programs/$program" "$@" >"$work/out" 2>"$work/err" || found=$?
  [ "$found" = "$code" ] || fail "$program $*: exit code $found, expected $code: $(cat "$work/err")"
  [ "$(cat "$work/err")" = "$program: $message" ] || fail "$program $*
  expected: $program: $message
  got:      $(cat "$work/err")"
  [ ! -e "$work/no" ] || fail "$program $*: something was written"
  inputs=$((inputs + 1))
}
for i in $(seq 60); do echo "the quick brown fox no $((i % 7)) jumps over the lazy dog"; done >"$work/text"
tiny=(--n-layer 1 --n-head 2 --n-embd 8 --block-size 16 --batch-size 2 --warmup-steps 1 --eval-batches 1)
run=(--text "$work/text" --out "$work/run" "${tiny[@]}" --max-steps 4 --save-interval 2 --keep-last 2)
"$programs/train_char_gpt" "${run[@]}" >/dev/null 2>&1 || fail "train_char_gpt"

# safetensors, as the weights of a model. write HEADER [DATA] [LENGTH]: length of the header, header, data.
weights=$work/bad/model.safetensors
cp -r "$work/run" "$work/bad"
rm -r "$work/bad/checkpoints"
write() {
  local length=${3:-${#1}} bytes= i
  for i in 1 2 3 4 5 6 7 8; do
    bytes+=$(printf '\\%03o' $((length & 255)))
    length=$((length >> 8))
  done
  printf "$bytes" >"$weights"
  printf '%b%s' "$1" "${2-}" >>"$weights"
}
bad_weights() { expect 1 "[safetensors] $weights: $1" generate --model "$work/bad" --prompt the; }
tensor() { printf '{"dtype":"F32","shape":[%s],"data_offsets":[%s]}' "$1" "$2"; }
printf '1234567' >"$weights"
bad_weights "too short: 7 bytes, the header length needs 8"
write '{}' '' 1000000000
bad_weights "header length 1000000000 exceeds the limit 100000000"
write '{}' '' 100
bad_weights "header claims 100 bytes, the file holds 2 (incomplete download?)"
write '{"a" 1}'
bad_weights "header invalid at byte 5"
write '{"\0377":{}}' '' 8
bad_weights "header invalid at byte 2"
write "{\"x\":$(tensor 1 0,4),\"x\":$(tensor 1 4,8)}" 12345678
bad_weights 'duplicate tensor "x"'
write "{\"x\":$(tensor 4294967296,4294967296,16 0,4)}" 1234
bad_weights 'tensor "x": shape [4294967296,4294967296,16] overflows'
write "{\"x\":$(tensor 2 0,4)}" 1234
bad_weights 'tensor "x": shape needs 8 bytes, offsets span 4'
write "{\"x\":$(tensor 1 1,5)}" 12345
bad_weights 'tensor "x": starts at 1, expected 0'
write "{\"x\":$(tensor 1 0,4)}" 12345
bad_weights "1 trailing bytes"
write "{\"x\":$(tensor 1 0,4)}" 123
bad_weights "tensors claim 4 bytes, the file holds 3 (incomplete download?)"

# Another model's file: all differences at once.
"$programs/train_char_gpt" --text "$work/text" --out "$work/wide" "${tiny[@]}" --n-embd 16 --n-layer 2 --max-steps 1 >/dev/null 2>&1 || fail "train_char_gpt"
cp "$work/wide/model.safetensors" "$weights"
if "$programs/generate" --model "$work/bad" --prompt the >"$work/out" 2>"$work/err"; then fail "another model's weights"; fi
grep -qE "^generate: .*$weights.* [0-9]+ unexpected, [0-9]+ shape mismatches:$" "$work/err" || fail "another model's weights: $(cat "$work/err")"

# A checkpoint whose checksum is wrong: the step before is tried. If none is left, nothing is begun anew.
damage() { printf 'x' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 1)) conv=notrunc 2>/dev/null; }
damage "$work/run/checkpoints/step-00000004.safetensors"
"$programs/train_char_gpt" "${run[@]}" --resume >/dev/null 2>"$work/err" || fail "--resume: $(cat "$work/err")"
grep -qE '^\[load_checkpoint\] .*step-00000004.safetensors: tensor ".*" corrupted; trying the step before$' "$work/err" || fail "a damaged checkpoint: $(cat "$work/err")"
grep -q '^resumed at step 2$' "$work/err" || fail "a damaged checkpoint: $(cat "$work/err")"
for file in "$work"/run/checkpoints/*; do damage "$file"; done
if "$programs/train_char_gpt" "${run[@]}" --resume >/dev/null 2>"$work/err"; then fail "resumed from damaged checkpoints"; fi
grep -q "^train_char_gpt: .*$work/run: no checkpoint can be read, the last tried: .* corrupted$" "$work/err" || fail "no checkpoint: $(cat "$work/err")"

# Texts, arguments, tables.
head -c 10 "$work/text" >"$work/short"  # 9 to train on, 1 to evaluate
expect 1 "[TokenBatches] dataset has 9 tokens, block size needs 17" train_char_gpt --text "$work/short" --out "$work/no" "${tiny[@]}"
printf 'one line\nthen \377\n' >"$work/broken"
broken="[read_text] $work/broken, line 2, byte 6: not UTF-8: convert the file, or remove what is no text"
expect 1 "$broken" train_char_gpt --text "$work/broken" --out "$work/no" "${tiny[@]}"
expect 1 "$broken" pretrain --text "$work/text" --text "$work/broken" --out "$work/no" "${tiny[@]}"
expect 1 "$broken" tokenize --text "$work/broken" --model "$work/run"
expect 1 "$broken" score --text "$work/broken" --model "$work/run"
expect 2 "unknown option --n-layr; did you mean --n-layer?" train_char_gpt --text "$work/text" --out "$work/no" --n-layr 2
expect 1 "[score] token 99 at position 1 is outside the vocabulary of 35" score --model "$work/run" --tokens "1 99"
printf 'label\ttext\nred\ta\nblue\n' >"$work/table"
"$programs/pretrain" --text "$work/text" --vocab-size 270 --out "$work/bpe" "${tiny[@]}" --max-steps 1 >/dev/null 2>&1 || fail "pretrain"
expect 1 "[read_task] $work/table, row 3: has 1 columns, the header has 2; the separator is a tab" finetune --task classification --model "$work/bpe" --train "$work/table" --dev "$work/table" --out "$work/no"
echo '{"model_type": "gpt2", ' >"$work/bad/config.json"
expect 1 "[json] $work/bad/config.json: invalid at byte 24" generate --model "$work/bad" --prompt the
echo "$inputs inputs"

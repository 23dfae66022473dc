#!/usr/bin/env bash
# The programs that read and write models, from their command lines: a model trained by train_char_gpt and one by
# pretrain are continued, scored and converted; and what bad input says.
#
# usage: models_test.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
programs=$1
. "$(dirname "$0")/common.sh"
value() { sed -E "s/.*\"$1\": ?([-0-9.e]+).*/\1/" "$2"; }
close() { awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { exit !((a - b) ^ 2 <= t ^ 2) }'; }

for i in $(seq 200); do echo "the quick brown fox no $((i % 7)) jumps over the lazy dog"; done >"$work/text"
tiny=(--n-layer 1 --n-head 2 --n-embd 32 --block-size 16 --batch-size 4 --eval-batches 5 --warmup-steps 10 --learning-rate 5e-3)
"$programs/train_char_gpt" --text "$work/text" --out "$work/char" "${tiny[@]}" --max-steps 200 --eval-interval 100 >"$work/out" 2>/dev/null
val_loss=$(value val_loss "$work/out")
for folder in char char/best; do
  for file in config.json model.safetensors tokenizer.json tokenizer_config.json; do
    [ -s "$work/$folder/$file" ] || fail "no $folder/$file"
  done
done

# What was learned: the text is likely, and is continued.
head -c 2000 "$work/text" >"$work/start"
for precision in fp32 bf16 int8; do
  "$programs/score" --model "$work/char" --text "$work/start" --precision $precision >"$work/score_$precision"
  close "$(value nll "$work/score_$precision")" "$val_loss" 0.35 ||
    fail "score in $precision: $(value nll "$work/score_$precision"), validation loss $val_loss"
done
[ "$(value tokens "$work/score_fp32")" = 2000 ] || fail "one token a character"
[ "$(tr -cd ',' <"$work/score_fp32" | wc -c)" = $((3 + 1998)) ] || fail "a log-probability for every token but the first"
close "$(value nll "$work/score_int8")" "$(value nll "$work/score_fp32")" 0.01 || fail "int8 is not close to fp32"
# A model with every option of the block is continued and scored like any other, and is none of llama.cpp's.
"$programs/train_char_gpt" --preset nano-fast --text "$work/text" --out "$work/options" "${tiny[@]}" --n-inner 80 --n-kv-head 1 \
  --logit-softcap 15 --learning-rate 0.02 --max-steps 100 >"$work/out" 2>/dev/null
grep -q '"model_type": "gptlite"' "$work/options/config.json" || fail "config.json: $(cat "$work/options/config.json")"
"$programs/score" --model "$work/options" --text "$work/start" >"$work/score"
close "$(value nll "$work/score")" "$(value val_loss "$work/out")" 0.35 || fail "options: $(value nll "$work/score"), $(cat "$work/out")"
"$programs/generate" --model "$work/options" --prompt "the quick" --max-new-tokens 40 --temperature 0 >"$work/generated"
grep -q '^the quick [a-z0-9 ]*' "$work/generated" || fail "generated with options: $(cat "$work/generated")"
! "$programs/convert" --model "$work/options" --out "$work/options.gguf" >"$work/out" 2>"$work/err" || fail "llama.cpp has no such model"
grep -q 'llama.cpp has no models with rotary, rms_norm, qk_norm, n_kv_head, gated_mlp, no bias, logit_softcap' "$work/err" ||
  fail "convert: $(cat "$work/err")"

"$programs/generate" --model "$work/char" --prompt "the quick" --max-new-tokens 40 --temperature 0 >"$work/out"
grep -q '^the quick [a-z0-9 ]*' "$work/out" || fail "generated: $(cat "$work/out")"
"$programs/generate" --model "$work/char" --prompt "the quick" --max-new-tokens 40 --temperature 0 --json >"$work/json"
text=$(sed -E 's/.*"text":"(([^"\\]|\\.)*)".*/\1/' "$work/json")
[ "$(printf 'the quick%b' "$text")" = "$(cat "$work/out")" ] || fail "--json: $text"
"$programs/generate" --model "$work/char" --prompt "the" --temperature 0 --stop "quick" >"$work/out"
[[ "$(cat "$work/out")" = the*quick ]] && [ "$(grep -o quick "$work/out" | wc -l)" = 1 ] || fail "--stop: $(cat "$work/out")"
"$programs/generate" --model "$work/char" --prompt "the" --temperature 0 --stop "quick" --stop "k b" --json >"$work/json"
grep -q '"text":"[^"]*quick",' "$work/json" || fail "--stop --json: $(cat "$work/json")"
for count in $(seq 0 25); do  # wherever the text ends, what could have become a stop text is printed
  greedy=(--model "$work/char" --prompt the --temperature 0 --max-new-tokens "$count")
  [ "$("$programs/generate" "${greedy[@]}" --stop "quick!")" = "$("$programs/generate" "${greedy[@]}")" ] || fail "a stop text that does not come"
done
seeded() { "$programs/generate" --model "$work/char" --prompt a --temperature 3 --seed "$1" --threads "$2" "${@:3}"; }
[ "$(seeded 1 1)" = "$(seeded 1 3)" ] || fail "the same seed, another text"
[ "$(seeded 1 1)" = "$(seeded 1 3 --draft)" ] || fail "--draft changes the text"
[ "$(seeded 1 1)" != "$(seeded 2 1)" ] || fail "another seed, the same text"

# Texts end at an eos token, which is not printed, unless --ignore-eos goes on: here at the f of fox, token 14.
cp -r "$work/char" "$work/eos"
sed -i 's/"eos_token_id": null/"eos_token_id": [0, 14]/' "$work/eos/config.json"
one=(generate --model "$work/eos" --prompt "the quick" --max-new-tokens 300 --temperature 0)
text=$("$programs/${one[@]}")
[[ "$text" = "the quick"* ]] && [[ "$text" != *f* ]] || fail "no end at eos: $text"
"$programs/${one[@]}" --json | grep -qE '"tokens":\[[0-9,]*,14\]' || fail "eos is not the last token: $("$programs/${one[@]}" --json)"
text=$("$programs/${one[@]}" --ignore-eos)
[ ${#text} -gt 300 ] || fail "--ignore-eos: $text"
"$programs/convert" --model "$work/eos" --out "$work/eos2" 2>/dev/null
tr -d ' \n' <"$work/eos2/config.json" | grep -q '"eos_token_id":\[0,14\]' || fail "convert: $(cat "$work/eos2/config.json")"

# The same score from ids, from a folder in bf16, and after another conversion.
"$programs/tokenize" --model "$work/char" --text "$work/start" >"$work/lines"
head -n 1 "$work/lines" >"$work/ids"
"$programs/score" --model "$work/char" --tokens "$(cat "$work/ids")" >"$work/out"
first=$(value nll "$work/out")
"$programs/convert" --model "$work/char" --out "$work/bf16" --type bf16 2>/dev/null
"$programs/score" --model "$work/bf16" --tokens "$(cat "$work/ids")" >"$work/out"
close "$(value nll "$work/out")" "$first" 0.02 || fail "bf16 scores $(value nll "$work/out"), fp32 $first"
[ "$(wc -c <"$work/bf16/model.safetensors")" -lt $(($(wc -c <"$work/char/model.safetensors") * 6 / 10)) ] || fail "bf16 takes as much"
"$programs/convert" --model "$work/char" --out "$work/char.gguf" --type int8 2>"$work/err"
[ "$(head -c 4 "$work/char.gguf")" = GGUF ] || fail "no GGUF file"

# Byte-pair encoding of its own, and one taken from a folder.
"$programs/pretrain" --text "$work/text" --text "$work/start" --vocab-size 300 --out "$work/bpe" "${tiny[@]}" --norm-order post --window 9 \
  --max-steps 100 --eval-interval 0 --sample-every 0 >"$work/out" 2>/dev/null || fail "pretrain"
grep -q '"steps": 100, ' "$work/out" || fail "result: $(cat "$work/out")"
grep -q '"model_type": "openai-gpt"' "$work/bpe/config.json" || fail "config.json: $(cat "$work/bpe/config.json")"
"$programs/generate" --model "$work/bpe" --max-new-tokens 20 --seed 1 >/dev/null || fail "a text from nothing"
"$programs/pretrain" --text "$work/text" --tokenizer "$work/bpe" --out "$work/again" "${tiny[@]}" --max-steps 2 >/dev/null 2>&1 || fail "--tokenizer"
cmp -s "$work/bpe/tokenizer.json" "$work/again/tokenizer.json" || fail "the tokenizer changed"

# Bad input: the message on one line, an exit code that is not 0, nothing left behind.
expect() {
  local message=$1 program=$2
  shift 2
  if "$programs/$program" "$@" >"$work/out" 2>"$work/err"; then fail "accepted: $program $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
}
if [ -w /dev/full ]; then
  full() { ! "$programs/$1" --model "$work/char" "${@:2}" >/dev/full 2>"$work/err" || fail "$1 to a full disk: exit code 0"; }
  full score --tokens "1 2 3"
  full tokenize --text "$work/start"
  full generate --prompt the --max-new-tokens 3
  full generate --prompt the --max-new-tokens 3 --json
  grep -q "standard output: not all of it could be written" "$work/err" || fail "a full disk: $(cat "$work/err")"
fi
# A model that has diverged: the first weight of its file is NaN.
cp -r "$work/char" "$work/diverged"
header=$(od -An -t u8 -N 8 "$work/diverged/model.safetensors" | tr -d ' ')
printf '\000\000\300\177' | dd of="$work/diverged/model.safetensors" bs=1 seek=$((8 + header)) conv=notrunc 2>/dev/null
expect "has numbers that are not finite: has the model diverged?" convert --model "$work/diverged" --out "$work/no.gguf"
expect "is not a number: has the model diverged?" score --model "$work/diverged" --tokens "1 2 3"
expect "is not a number: has the model diverged?" generate --model "$work/diverged" --prompt the
printf 'abcabcabcabcabcabcabcabcabc%.0s' {1..20} >"$work/one_line"
"$programs/train_char_gpt" --text "$work/one_line" --out "$work/one" "${tiny[@]}" --max-steps 2 >/dev/null 2>&1 || fail "a text of one line"
expect "the model has no token that begins a text: give it a --prompt" generate --model "$work/one"
expect "unknown option --temprature; did you mean --temperature?" generate --model "$work/char" --temprature 1
expect "$work/nothing: holds no tokenizer: neither tokenizer.json nor" generate --model "$work/nothing"
expect 'character "%" at position 1 is not in the vocabulary' generate --model "$work/char" --prompt 'a%'
expect "[Sampler] top_p must be above 0" generate --model "$work/char" --prompt a --top-p 0
expect "[StopTexts] a stop text is empty" generate --model "$work/char" --prompt a --stop ""
expect "a draft has its weights in int8" generate --model "$work/char" --prompt a --draft --precision int8
expect "token 99 at position 1 is outside the vocabulary" score --model "$work/char" --tokens "1 99"
expect "is not a token's id" score --model "$work/char" --tokens "1 b"
expect '"99999999999" is not a token' score --model "$work/char" --tokens "1 2 99999999999"
expect 'needs a whole number' score --model "$work/char" --tokens "1 2" --threads 99999999999999999999
expect '--top-k: needs a whole number, 0 or more and below 2^63, got "-1"' generate --model "$work/char" --prompt a --top-k -1
expect '--threads: needs a whole number, 0 or more and below 2^63, got "-2"' generate --model "$work/char" --threads -2
expect 'needs a number, 0 or more, got "nan"' generate --model "$work/char" --prompt a --temperature nan
expect 'needs a number, 0 or more, got ""' generate --model "$work/char" --prompt a --temperature ""
expect 'needs a path' convert --model "$work/char" --out ""
expect "a score needs two tokens at least, the text has 1" score --model "$work/char" --tokens "1"
expect "give either --text FILE or --tokens" score --model "$work/char"
expect "llama.cpp has no models of GPT-1's norm order" convert --model "$work/bpe" --out "$work/no.gguf"
expect "int8 needs a .gguf file" convert --model "$work/char" --out "$work/no" --type int8
expect "vocab_size is 100, the bytes and special tokens are 257" pretrain --text "$work/text" --vocab-size 100 --out "$work/no"
head -c 5000 "$work/char/model.safetensors" >"$work/bf16/model.safetensors"
expect "incomplete download?" score --model "$work/bf16" --tokens "1 2"
[ ! -e "$work/no" ] && [ ! -e "$work/no.gguf" ] || fail "something was left behind"
echo "passed"

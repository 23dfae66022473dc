#!/usr/bin/env bash
# finetune, classify and bag_of_words from their command lines: the four tasks are learned from a small pre-trained
# model, the folder answers, threads change no bit; and what bad input says.
#
# usage: finetune_test.sh FOLDER_OF_THE_PROGRAMS
set -euo pipefail
programs=$1
. "$(dirname "$0")/common.sh"
# value KEY FILE: the number after the last "KEY" of a file of JSON.
value() {
  local number
  number=$(sed -nE "s/.*\"$1\": ?([-0-9.e]+).*/\1/p" "$2" | tail -n 1)
  [ -n "$number" ] || fail "no $1 in $(cat "$2")"
  printf '%s' "$number"
}
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

# A model of texts about colours, and tasks that one word decides.
for i in $(seq 60); do echo "the red box no $((i % 7)) is good and the blue one is bad ; a red cat sees a blue dog"; done >"$work/text"
"$programs/pretrain" --text "$work/text" --vocab-size 300 --n-layer 1 --n-head 2 --n-embd 32 --block-size 32 --batch-size 4 \
  --warmup-steps 5 --learning-rate 5e-3 --max-steps 60 --eval-interval 0 --eval-batches 2 --sample-every 0 --norm-order post \
  --out "$work/gpt" >/dev/null 2>&1 || fail "pretrain"
rows() {  # rows TASK FIRST COUNT
  for i in $(seq "$2" $(($2 + $3 - 1))); do
    local colour=red other=blue
    ((i % 2)) || { colour=blue other=red; }
    case $1 in
      classification) printf '%s\tthe %s box no %d is here\n' "$colour" "$colour" $((i % 7)) ;;
      entailment) printf '%s\tthe box no %d\tis %s\n' "$colour" $((i % 7)) "$colour" ;;
      similarity) printf '%s\tthe %s box\ta red box no %d\n' "$([ $colour = red ] && echo 4.5 || echo 0.5)" "$colour" $((i % 7)) ;;
      multiple-choice) ((i % 3)) && printf '1\tthe box no %d\tis blue\tis red\n' $((i % 7)) || printf '0\tthe cat no %d\tis red\tis blue\n' $((i % 7)) ;;
    esac
  done
}
header() {
  case $1 in
    classification) printf 'label\ttext\n' ;;
    entailment) printf 'label\tpremise\thypothesis\n' ;;
    similarity) printf 'score\tsentence1\tsentence2\n' ;;
    multiple-choice) printf 'label\tcontext\tchoice0\tchoice1\n' ;;
  esac
}
recipe=(--epochs 48 --batch-size 8 --learning-rate 3e-3 --warmup 0.1 --dropout 0 --seed 3)
for task in classification entailment similarity multiple-choice; do
  for part in train:1:64 dev:65:20 test:90:21; do
    IFS=: read -r name first count <<<"$part"
    { header $task && rows $task "$first" "$count"; } >"$work/${task}_$name.tsv"
  done
  data=(--train "$work/${task}_train.tsv" --dev "$work/${task}_dev.tsv" --test "$work/${task}_test.tsv")
  for threads in 1 3; do
    "$programs/finetune" --task $task --model "$work/gpt" "${data[@]}" --lambda 0.5 "${recipe[@]}" --threads $threads \
      --out "$work/$task$threads" >"$work/out" 2>"$work/err" || fail "$task: $(cat "$work/err")"
  done
  metric=accuracy
  [ $task = similarity ] && metric=pearson
  grep -q "^{\"task\": \"$task\", \"lambda\": 0.5, \"seed\": 3, \"metric\": \"$metric\", \"dev\": {\"$metric\": " "$work/out" || fail "$task: $(cat "$work/out")"
  at_least "$(value $metric "$work/out")" 0.95 || fail "$task was not learned: $(cat "$work/out")"
  for file in predictions_dev.tsv predictions_test.tsv model.safetensors config.json tokenizer.json; do
    cmp -s "$work/${task}1/$file" "$work/${task}3/$file" || fail "$task: another $file with 3 threads"
  done
  [ "$(wc -l <"$work/${task}1/predictions_test.tsv")" = 22 ] || fail "$task: a row of predictions an example"
  [[ "$(head -n 1 "$work/${task}1/predictions_test.tsv")" = $'row\ttarget\tpredicted\tP('* ]] || fail "$task: the columns of predictions"
  [ "$(grep -c '"l1": ' "$work/${task}1/metrics.jsonl")" = 384 ] || fail "$task: a line a step"
  grep -qE '^\{"step": 1, "loss": [^,]+, "l2": [^,]+, "l1": [^,]+, "learning_rate": [^,]+, "grad_norm": [^,]+\}$' "$work/${task}1/metrics.jsonl" ||
    fail "$task: the keys of metrics"
  [ "$(grep -c '"dev": {' "$work/${task}1/metrics.jsonl")" = 48 ] || fail "$task: an evaluation an epoch"

  # The folder answers as the predictions say.
  tail -n +2 "$work/${task}_test.tsv" | cut -f 2- >"$work/lines"
  "$programs/classify" --model "$work/${task}1" <"$work/lines" >"$work/answers" 2>"$work/err" || fail "classify: $(cat "$work/err")"
  tail -n +2 "$work/${task}1/predictions_test.tsv" | cut -f 3 >"$work/predicted"
  if [ $task = similarity ]; then
    paste "$work/answers" "$work/predicted" | awk '($1 - $2) ^ 2 > 1e-6 { exit 1 }' || fail "classify: $(paste "$work/answers" "$work/predicted")"
  else
    cmp -s <(cut -f 1 "$work/answers") "$work/predicted" || fail "classify: $(paste "$work/answers" "$work/predicted")"
  fi
  "$programs/bag_of_words" --task $task --tokenizer "$work/gpt" "${data[@]}" --epochs 10 --learning-rate 0.05 --out "$work/bag_$task" \
    >"$work/out" 2>/dev/null || fail "bag_of_words: $task"
  at_least "$(sed -E 's/.*"test":\{"[a-z]+":([-0-9.e]+)\}.*/\1/' "$work/out")" 0.9 || fail "bag_of_words: $(cat "$work/out")"
  [ "$(wc -l <"$work/bag_$task/predictions_test.tsv")" = 22 ] || fail "bag_of_words: predictions"
done

# What --openai-exact cuts off, classify cuts off as well: a part has 32 / 2 - 2 tokens.
long="here is no box and here is no cat and no dog and it is here and here and here again ; the cat"
{ header classification && for i in $(seq 16); do printf 'red\t%s red\nblue\tthe blue %s\n' "$long" "$long"; done; } >"$work/long.tsv"
"$programs/finetune" --task classification --model "$work/gpt" --train "$work/long.tsv" --dev "$work/long.tsv" "${recipe[@]}" --openai-exact \
  --out "$work/exact" >/dev/null 2>&1 || fail "--openai-exact on long texts"
grep -q '"max_part_length": 14' "$work/exact/config.json" || fail "max_part_length: $(grep max_part "$work/exact/config.json")"
tail -n +2 "$work/long.tsv" | cut -f 2 | "$programs/classify" --model "$work/exact" | cut -f 2 >"$work/answers"
cut -f 4,5 "$work/exact/predictions_dev.tsv" | tail -n +2 | awk '{ print ($1 > $2 ? $1 : $2) }' >"$work/predicted"
paste "$work/answers" "$work/predicted" | awk '($1 - $2) ^ 2 > 1e-8 { exit 1 }' || fail "classify after --openai-exact: $(paste "$work/answers" "$work/predicted" | head -n 4)"

# Random weights, early stopping, other columns, no model in the folder.
data=(--train "$work/classification_train.tsv" --dev "$work/classification_dev.tsv")
"$programs/finetune" --task classification --model "$work/gpt" "${data[@]}" "${recipe[@]}" --random-weights --lambda 0 --patience 1 \
  --eval-interval 4 --epochs 50 --no-save --columns label,text --out "$work/random" >"$work/out" 2>/dev/null || fail "--random-weights"
at_least 399 "$(value steps "$work/out")" || fail "--patience 1: $(cat "$work/out")"
grep -q '"l1"' "$work/random/metrics.jsonl" && fail "an L1 with lambda 0"
grep -q '"test"' "$work/out" && fail "a test without --test"
[ ! -e "$work/random/model.safetensors" ] || fail "--no-save saved"
"$programs/finetune" --task classification --model "$work/gpt" "${data[@]}" "${recipe[@]}" --out "$work/plain" >/dev/null 2>&1 || fail "plain"
for option in "--precision bf16" "--lora-rank 4 --lora-targets *c_attn,*c_fc --learning-rate 2e-2" "--lora-rank 4 --lora-targets *c_attn,*c_fc,score --learning-rate 2e-2" "--freeze transformer.w*" "--openai-exact" "--layer-decay 0.9"; do
  # shellcheck disable=SC2086
  "$programs/finetune" --task classification --model "$work/gpt" "${data[@]}" "${recipe[@]}" $option --overwrite --out "$work/other" \
    >"$work/out" 2>"$work/err" || fail "$option: $(cat "$work/err")"
  at_least "$(value accuracy "$work/out")" 0.95 || fail "$option: $(cat "$work/out")"
  cmp -s "$work/plain/model.safetensors" "$work/other/model.safetensors" && fail "$option changes nothing"
  [[ $option != --openai-exact ]] || grep -q '^{"step": 1, .*"learning_rate": 0,' "$work/other/metrics.jsonl" || fail "$option: the schedule"
  tail -n +2 "$work/classification_dev.tsv" | cut -f 2 >"$work/lines"
  "$programs/classify" --model "$work/other" <"$work/lines" | cut -f 1 >"$work/answers"
  cmp -s "$work/answers" <(tail -n +2 "$work/other/predictions_dev.tsv" | cut -f 3) || fail "$option: the folder answers otherwise"
  [[ $option != --lora* ]] || for name in base/model.safetensors adapters/adapter_model.safetensors adapters/adapter_config.json; do
    [ -s "$work/other/$name" ] || fail "$option: no $name"
  done
done
printf 'the red box no 3 is here\nthe blue box no 4 is here\r\n' | "$programs/classify" --model "$work/classification1" --json >"$work/out"
grep -q '^{"label":"red","probabilities":{"blue":0.*,"red":0.*}}$' "$work/out" || fail "--json: $(cat "$work/out")"
[ "$(cut -c 1-15 "$work/out" | tail -n 1)" = '{"label":"blue"' ] || fail "the second line: $(cat "$work/out")"

# convert keeps the head, the labels and the tokenizer of the task, in each format, and adds what an older folder lacks.
"$programs/convert" --model "$work/classification1" --out "$work/converted" 2>"$work/err" || fail "convert: $(cat "$work/err")"
[ "$(cat "$work/err")" = "$work/converted written" ] || fail "convert: $(cat "$work/err")"
for name in config.json tokenizer.json tokenizer_config.json model.safetensors README.md; do
  cmp "$work/classification1/$name" "$work/converted/$name" || fail "convert: $name"
done
sed 's/"post_processor":{.*"type":"TemplateProcessing"}/"post_processor":null/' "$work/classification1/tokenizer.json" >"$work/converted/tokenizer.json"
cmp -s "$work/classification1/tokenizer.json" "$work/converted/tokenizer.json" && fail "the template is still there"
"$programs/convert" --model "$work/converted" --out "$work/again" --type bf16 2>"$work/err" || fail "convert: $(cat "$work/err")"
cmp "$work/classification1/tokenizer.json" "$work/again/tokenizer.json" || fail "convert: no template"
"$programs/classify" --model "$work/again" <"$work/lines" | cut -f 1 >"$work/bf16"
"$programs/classify" --model "$work/classification1" <"$work/lines" | cut -f 1 >"$work/answers"
cmp "$work/bf16" "$work/answers" || fail "convert: other answers in bf16"

# Bad input: the message on one line, an exit code that is not 0, nothing left behind.
expect() {  # expect MESSAGE PROGRAM ARGUMENTS
  local message=$1 program=$2
  shift 2
  if "$programs/$program" "$@" >"$work/out" 2>"$work/err" </dev/null; then fail "accepted: $program $*"; fi
  grep -qF -- "$message" "$work/err" || fail "expected '$message', got: $(cat "$work/err")"
  [ ! -e "$work/no" ] || fail "something was left behind: $message"
}
expect_rows() {  # expect_rows MESSAGE TASK ROWS
  { header "$2" && printf "$3"; } >"$work/bad.tsv"
  expect "$1" finetune --task "$2" --model "$work/gpt" --train "$work/bad.tsv" --dev "$work/${2}_dev.tsv" --out "$work/no"
}
expect_rows "bad.tsv: there are no rows below the header" classification ''
expect_rows 'bad.tsv: all rows have the label "red"' classification 'red\ta\nred\tb\n'
expect_rows "bad.tsv, row 3: has 1 columns, the header has 2" classification 'red\ta\nblue\n'
expect_rows "bad.tsv, row 2, column text: the text is empty" classification 'red\t \nblue\tb\n'
expect_rows "bad.tsv, row 3, column text: invalid UTF-8 at byte 1" classification 'red\ta\nblue\tb\377\n'
expect_rows 'bad.tsv, row 2, column label: invalid UTF-8 at byte 2' classification 'gr\374n\ta\nblue\tb\n'
expect_rows 'bad.tsv, row 2: the text "<|endoftext|>" has no tokens but special ones' classification 'red\t<|endoftext|>\nblue\tb\n'
expect_rows 'row 2: the text "a <|extract|>" has a start, delimiter or extract token in it' classification 'red\ta <|extract|>\nblue\tb\n'
expect_rows 'classification_dev.tsv, row 2, column label: the label "red" is not one of green, white' classification 'green\ta\nwhite\tb\n'
expect_rows 'bad.tsv, row 2, column score: "5.5" is no score from 0 to 5' similarity '5.5\ta\tb\n'
expect_rows 'bad.tsv, row 2, column label: "2" is no answer from 0 to 1' multiple-choice '2\ta\tb\tc\n'
bad=(--model "$work/gpt" "${data[@]}" --out "$work/no")
expect '"sentiment" is no task; there are classification, entailment, similarity, multiple-choice' finetune --task sentiment "${bad[@]}"
expect 'has no column "colour", only label, text' finetune --task classification "${bad[@]}" --columns colour,text
expect "--epochs must be in 1..1000000, got 0" finetune --task classification "${bad[@]}" --epochs 0
expect '--lambda: needs a number, 0 or more, got "-1"' finetune --task classification "${bad[@]}" --lambda -1
expect '--learning-rate: needs a number, 0 or more, got "-1"' finetune --task classification "${bad[@]}" --learning-rate -1
expect "dropout must be in 0..1 and below 1, got 1" finetune --task classification "${bad[@]}" --dropout 1
expect "--freeze leaves nothing to train" finetune --task classification "${bad[@]}" --freeze '*'
expect "--lora-targets requires --lora-rank" finetune --task classification "${bad[@]}" --lora-targets '*c_attn'
expect '--lambda: needs a number, 0 or more, got "inf"' finetune --task classification "${bad[@]}" --lambda inf
expect "decay must be" finetune --task classification "${bad[@]}" --layer-decay 0
expect 'no parameter matches "h.0.*"; there are transformer.wte.weight' finetune --task classification "${bad[@]}" --freeze 'h.0.*'
expect 'no Linear layer matches "q_proj"' finetune --task classification "${bad[@]}" --lora-rank 2 --lora-targets q_proj
expect '--lora-rank: needs a whole number, 0 or more and below 2^63, got "-1"' finetune --task classification "${bad[@]}" --lora-rank -1
expect '--patience: needs a whole number, 0 or more and below 2^63, got "-1"' finetune --task classification "${bad[@]}" --patience -1
expect "unknown option --lamda; did you mean --lambda?" finetune --task classification "${bad[@]}" --lamda 1
expect "$work/nothing/config.json" finetune --task classification "${bad[@]}" --model "$work/nothing"
expect 'has no "gptlite_task": the folder holds no model that was fine-tuned here' classify --model "$work/gpt"
printf 'one\ttwo\n' >"$work/lines"
"$programs/classify" --model "$work/classification1" <"$work/lines" >"$work/out" 2>"$work/err" && fail "accepted two texts"
grep -qF "line 1 has 2 texts, classification needs 1, separated by tabs" "$work/err" || fail "classify: $(cat "$work/err")"
printf 'good\n\n' >"$work/lines"
"$programs/classify" --model "$work/classification1" <"$work/lines" >"$work/out" 2>"$work/err" && fail "accepted an empty line"
[ "$(wc -l <"$work/out")" = 1 ] || fail "the line before the empty one is answered"
grep -qF 'stdin, row 2: the text "" has no tokens but special ones' "$work/err" || fail "classify: $(cat "$work/err")"
printf 'good\nb\377\n' >"$work/lines"
"$programs/classify" --model "$work/classification1" <"$work/lines" >"$work/out" 2>"$work/err" && fail "accepted invalid UTF-8"
grep -qF 'stdin, row 2: invalid UTF-8 at byte 1' "$work/err" || fail "classify: $(cat "$work/err")"
if "$programs/finetune" --task classification --model "$work/gpt" "${data[@]}" --epochs 1 --batch-size 32 --learning-rate 1e38 --out "$work/diverged" \
  >"$work/out" 2>"$work/err"; then fail "accepted answers that are not numbers"; fi
grep -qE "never finite|diverged" "$work/err" || fail "a run that diverges: $(cat "$work/err")"
[ ! -e "$work/diverged/model.safetensors" ] || fail "a model that is not finite was saved"
echo "passed"
